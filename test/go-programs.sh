# Sourced by full.sh: clients that no package of Debian's brings, and the specification's own suite, compiled at these versions
# where there is Go. They are kept outside the tree, by version; what Go fetched and built for them (5 GB, some minutes) is removed.
# Sets PATH and ENTREPOT_CONFORMANCE, and where there is no Go ENTREPOT_WITHOUT_GO, which is why.

clients=( # module, version, programs
  'github.com/google/go-containerregistry v0.20.2 cmd/crane'
  'oras.land/oras v1.2.3 cmd/oras'
  'helm.sh/helm/v3 v3.16.4 cmd/helm'
  'github.com/moby/buildkit v0.18.2 cmd/buildkitd cmd/buildctl'
  'github.com/sigstore/cosign/v2 v2.6.1 cmd/cosign'
)
suite=github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260716174315-967efdc079b9
kept="${XDG_CACHE_HOME:-$HOME/.cache}/entrepot-test"

# Prints why nothing can be compiled; nothing where it can.
why_not_go() {
  local version
  version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || { echo "Go 1.24.6 or later is not installed" && return; }
  printf '%s\n' go1.24.6 "$version" | sort -V -C || echo "$version is older than Go 1.24.6"
}

# keep NAME COMMAND…: runs it in an empty directory, where it puts programs into bin; that is kept as NAME, and is not made again.
keep() {
  local name=$1 started=$SECONDS said code
  shift
  [ ! -d "$kept/$name" ] || return 0
  for _ in 1 2; do # A network may fail once.
    code=0
    said=$(cd "$(mktemp -d "$work/XXXX")" && "$@" 2>&1 && mkdir -p "$(dirname "$kept/$name")" && mv bin "$kept/$name") || code=$?
    case $code in 0 | 124) break ;; esac
  done
  case $code in
    0) echo "compiled $name in $((SECONDS - started)) s" ;;
    124) echo "could not compile $name: it took too long" ;;
    *) echo "could not compile $name: $(tail -n 2 <<<"$said" | tr -s '\n\t' '  ')" ;;
  esac
}

# From a module that needs this version: `go install` would ask for the list of all versions too, which not every proxy has.
build_client() {
  local module=$1 version=$2
  shift 2
  go mod init client && go mod edit -require="$module@$version" && mkdir bin &&
    CGO_ENABLED=0 timeout 1800 go build -mod=mod -trimpath -ldflags='-s -w' -o bin/ "${@/#/$module/}"
}

install_suite() {
  GOBIN="$PWD/bin" timeout 300 go install "$suite"
}

compile() (
  mkdir -p "$kept"
  work=$(mktemp -d "$kept/work.XXXX")
  trap 'rm -rf "$work"' EXIT
  export GOPATH="$work/path" GOMODCACHE= GOCACHE="$work/cache" GOTOOLCHAIN=local GOFLAGS=-modcacherw
  for client in "${clients[@]}"; do
    read -ra words <<<"$client"
    keep "${words[0]}@${words[1]}" build_client "${words[@]}"
  done
  [ -n "${ENTREPOT_CONFORMANCE:-}" ] || keep "$suite" install_suite
)

ENTREPOT_WITHOUT_GO=$(why_not_go)
if [ -n "$ENTREPOT_WITHOUT_GO" ]; then
  export ENTREPOT_WITHOUT_GO
  echo "skipped: tests with clients that Go compiles: $ENTREPOT_WITHOUT_GO"
else
  unset ENTREPOT_WITHOUT_GO
  compile
fi
for client in "${clients[@]}"; do
  read -ra words <<<"$client"
  PATH="$kept/${words[0]}@${words[1]}:$PATH"
done
if [ -z "${ENTREPOT_CONFORMANCE:-}" ] && [ -x "$kept/$suite/conformance" ]; then
  export ENTREPOT_CONFORMANCE="$kept/$suite/conformance"
fi
[ -n "${ENTREPOT_CONFORMANCE:-}" ] || echo 'skipped: the conformance suite: ENTREPOT_CONFORMANCE does not say where its program is'
