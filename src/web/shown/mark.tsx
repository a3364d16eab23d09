// Fairlead's mark: a ring that a line is led through.

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
      <circle cx="12" cy="12" r="7" />
      <path d="M2 17c5 0 5-5 10-5s5-5 10-5" />
    </svg>
  )
}
