// How tokens may be signed: apart from what checks them, for configurations of programs that check none.
/** Asymmetric signatures only; `none` and shared secrets cannot be configured. */
export const jwtAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const

export type JwtAlgorithm = (typeof jwtAlgorithms)[number]
