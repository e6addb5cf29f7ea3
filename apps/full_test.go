package apps

// fullManifest uses every key there is; the tests that need "something of everything" start from it.
const fullManifest = `manifest_version: 1
id: full-house
name: Full house
description: |
  Two lines
  of text.
keywords: [one, two words]
website: https://example.org/about
license: Apache-2.0
icon: img/icon.svg
screenshots: [img/one.png]
service:
  repository: git@example.org:owner/full.git
  branch: feature/x
  root_dir: web
  update: {schedule: "CRON_TZ=Europe/Berlin 30 4 * * 1-5"}
data:
  source: git
  repository: https://example.org/owner/data
  branch: master
  schema: 3
  extract: "data-*.tar.gz"
  in_subdir: inner/dir
  mount: public/data
  sync: {schedule: "@every 10m", on_change: restart}
  check: {command: test -s index, timeout: 90s}
  limits: {size: 1.5 GB, files: 5000, shrink: 40%}
state:
  mount: public/uploads
  backup: {schedule: "@daily"}
  size: 4096
packages:
  apt: [php-fpm, g++, libfoo1.2]
  dnf: [php-fpm]
  apk: [php83-fpm]
  zypper: [php8-fpm]
build_command: make all
serve:
  type: command
  start_command: exec ./serve --port "$PORT"
health_check:
  http_path: /healthz?full=1
  contains: "all: well"
  status: 204
  grace_period: 2m
  interval: 1m30s
  timeout: 3s
env:
  SITE_TITLE: {description: At the top, required: true, type: text}
  SEATS: {value: 40, type: number, choices: [40, 80]}
  OPEN: {value: true, type: boolean}
  HOME_PAGE: {value: "https://example.org", type: url}
  MAIL: {value: a@example.org, type: email}
  KEY: {generator: secret}
  TOKEN: {secret: true}
  BARE:
scripts:
  postdeploy: ./post
  on_data_change: ./change
  pre_backup: ./backup
  predestroy: ./end
resources:
  cpus: 0.5
  memory: 512 MiB
  disk: 2 GB
  architectures: [amd64, arm64]
lifetime: {default_ttl: 7d, max_ttl: 90d}
metadata: allow
`
