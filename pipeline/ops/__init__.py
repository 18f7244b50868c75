"""Operations as code: Prometheus rules and Grafana dashboards, made from metrics and exhibits."""
