#!/bin/sh
# Makes Fairlead ready to run where it lies: the package brings its program along, a checkout builds it. Needs Node 20 or later, and npm for the latter.
set -eu
home=$(cd "${0%/*}/../.." && pwd -P)
echo '📦 Installing P2P cache dependencies...'
[ -f "$home/dist/main.js" ] || sh "$home/bin/prepare"
