#!/usr/bin/env bash
# Tries docker-compose.yaml, as it is, with a real Docker daemon: three proxies
# come up in order and filter, more are added, a saved fleet file and a rebuilt
# module reach all of them without a restart, and xds is restarted beneath them.
#
#   e2e/compose.sh                       # or STAND_INS=1 e2e/compose.sh
#
# Needs a running dockerd and the right to use it (root, or the group docker),
# Compose (`docker compose` or `docker-compose`), Go, curl, jq, and the ports
# 18000, 18001 and 18080. It is not part of CI.
#
# Images that are not here are not pulled: stand-ins take their names while the
# script runs, made of this machine's shell and C library, its Go and its Envoy
# ($ENVOY, else the one that `make demo` installs). `docker pull` them first to try
# the real ones; STAND_INS=1 sets even those aside for as long as the script runs.
# BuildKit, if it is what builds, keeps its cache; all else that was made goes.
set -euo pipefail
cd "$(dirname "$0")/.."

project=waxwing-check
work=$(mktemp -d)
made=()  # names of stand-ins
aside=() # names of real images that have given theirs up
traffic=

# ---- Reporting ----

step() { printf '\n== %s\n' "$*"; }
ok() { printf '   ok: %s\n' "$*"; }
fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}

# eventually WHAT COMMAND… repeats the command until it succeeds; what it printed
# last is shown if it does not. Much time: five proxies that compile a filter on a
# machine with two busy cores need a minute or two.
eventually() {
	local deadline=$((SECONDS + 240)) what=$1
	shift
	until "$@" >"$work/last" 2>&1; do
		((SECONDS < deadline)) || fail "$what: not in time; last: $(tail -n 20 "$work/last")"
		sleep 0.2
	done
	ok "$what"
}

# ---- Compose, and what runs under it ----

compose() { "${compose_command[@]}" --project-name "$project" "$@"; }

# containers SERVICE… prints the ids of the services' running containers.
containers() {
	local service
	for service; do
		docker ps --quiet --filter "label=com.docker.compose.project=$project" \
			--filter "label=com.docker.compose.service=$service"
	done
}

proxies() { containers envoy envoy-replica; }

healthy() { # HOW_MANY SERVICE…
	local count=$1 states
	shift
	states=$(containers "$@" | xargs docker inspect --format '{{.Name}} {{.State.Health.Status}}')
	echo "$states"
	[[ $(grep -c ' healthy$' <<<"$states") == "$count" && $(wc -l <<<"$states") == "$count" ]]
}

status() { compose exec -T xds /xds status --output json; }

# serving N: just the N containers are connected, each by its own id, and all
# serve the revision that the fleet is on.
serving() {
	local answer
	answer=$(status) || return 1
	jq --compact-output '.fleets[], .proxies[] | del(.modules)' <<<"$answer"
	jq --exit-status --argjson n "$1" '.fleets[0].serving.id as $id | .fleets[0].candidate.id == "" and
		(.proxies | length == $n and all(.state == "serving" and .served.id == $id))' <<<"$answer" >/dev/null &&
		diff <(jq --raw-output '.proxies[].node' <<<"$answer" | sort) <(proxies | sort)
}

# running prints what a restart would change of the containers that it reads.
running() {
	xargs docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.RestartCount}}' | sort
}

# ---- Requests, to loopback addresses only ----

http() { curl --silent --show-error --noproxy '*' --max-time 10 "$@"; }

answers() { # STATUS BODY CURL_ARGUMENT…
	local want="$2$1" got
	shift 2
	got=$(http --write-out '%{http_code}' "$@") || return 1
	echo "$got"
	[[ $got == "$want" ]]
}

# all_answer TOKEN PATTERN…: each proxy, asked in its own container since most
# publish no port, gives an answer with lines for all of the patterns.
all_answer() {
	local token=$1 id answer pattern
	shift
	for id in $(proxies); do
		answer=$(docker exec "$id" bash -c 'exec 3<>/dev/tcp/127.0.0.1/80 &&
			printf "GET / HTTP/1.1\r\nHost: check\r\nToken: %s\r\nConnection: close\r\n\r\n" "$1" >&3 &&
			cat <&3' - "$token" | tr -d '\r') || return 1
		printf '%s: %s\n' "$id" "$answer"
		for pattern; do grep --quiet --extended-regexp "$pattern" <<<"$answer" || return 1; done
	done
}

# send asks the published proxy over and over; an answer that is not the echo's
# is a line in the file "failures".
send() {
	local n=0 answer
	while [[ ! -e $work/enough ]]; do
		n=$((n + 1))
		answer=$(http --header 'token: 32323' localhost:18000 2>&1) || true
		[[ $answer == 'Welcome to WASM land' ]] || echo "request $n: $answer" >>"$work/failures"
		echo "$n" >"$work/sent"
		sleep 0.05
	done
}

# ---- Stand-ins ----

stand_in() { # IMAGE: whether one is to be made
	docker image inspect "$1" >/dev/null 2>&1 || return 0
	# Left by a run that was killed?
	[[ -z $(docker image ls --quiet --filter "label=$project=stand-in" --filter "reference=$1") ]] || return 0
	[[ -n ${STAND_INS:-} ]] || return 1
	docker tag "$1" "$project/aside:${#aside[@]}"
	aside+=("$1")
}

# image NAME FOLDER CHANGE… makes an image of a folder. What is built upon it
# inherits the label, by which cleanup finds that.
image() {
	local name=$1 folder=$2 change changes=()
	shift 2
	for change in "LABEL $project=stand-in" "$@"; do changes+=(--change "$change"); done
	made+=("$name")
	tar --create --directory "$folder" --owner=0 --group=0 . | docker import "${changes[@]}" - "$name" >/dev/null
	rm -rf "$folder"
	ok "stand-in for $name"
}

# programs FOLDER PROGRAM… copies programs, with the libraries that they load, to
# where they are here, and links the first folders of their paths as they are here.
programs() {
	local folder=$1 program path
	shift
	mkdir -p "$folder"/{tmp,etc,proc,sys,dev,root}
	chmod 1777 "$folder/tmp"
	for path in /bin /sbin /lib /lib64; do
		if [[ -L $path ]]; then cp --no-dereference "$path" "$folder$path"; fi
	done
	for program; do
		program=$(command -v "$program") || fail "a stand-in needs $program"
		for path in "$program" $(ldd "$program" 2>/dev/null | grep --only-matching '/[^ )]*'); do
			path=$(realpath --no-symlinks "$(realpath "$(dirname "$path")")/$(basename "$path")")
			mkdir -p "$folder$(dirname "$path")"
			cp --dereference "$path" "$folder$path"
		done
	done
}

stand_in_envoy() { # IMAGE
	local root=$work/envoy binary=${ENVOY:-.tools/envoy-${1##*:v}/envoy}
	[[ -x $binary ]] || fail "there is no Envoy at $binary: run \`make demo\` once, or set ENVOY to the path of one"
	programs "$root" sh bash cat grep
	mkdir -p "$root/usr/local/bin"
	cp "$binary" "$root/usr/local/bin/envoy"
	for library in $(ldd "$binary" | grep --only-matching '/[^ )]*'); do
		mkdir -p "$root$(realpath "$(dirname "$library")")"
		cp --dereference "$library" "$root$(realpath "$(dirname "$library")")/"
	done
	printf '%s\n' root:x:0:0::/root:/bin/sh envoy:x:101:101::/nonexistent:/bin/false >"$root/etc/passwd"
	printf '%s\n' root:x:0: envoy:x:101: >"$root/etc/group"
	# The real one does more for root, and this for others.
	printf '#!/bin/sh\nexec "$@"\n' >"$root/docker-entrypoint.sh"
	chmod 755 "$root/docker-entrypoint.sh"
	image "$1" "$root" 'ENTRYPOINT ["/docker-entrypoint.sh"]' 'CMD ["envoy", "-c", "/etc/envoy/envoy.yaml"]'
}

stand_in_echo() { # IMAGE
	mkdir "$work/echo"
	cat >"$work/echo.go" <<-'GO'
		package main

		import (
			"flag"
			"fmt"
			"log"
			"net/http"
		)

		func main() {
			text, listen := flag.String("text", "", ""), flag.String("listen", ":5678", "")
			flag.Parse()
			log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintln(w, *text)
			})))
		}
	GO
	CGO_ENABLED=0 go build -o "$work/echo/http-echo" "$work/echo.go"
	image "$1" "$work/echo" 'ENTRYPOINT ["/http-echo"]' 'EXPOSE 5678' 'USER 65532'
}

# stand_in_go makes the build stage's image: Go, and in the place of a module
# proxy a folder with just the modules of go.mod.
stand_in_go() { # IMAGE
	local root=$work/golang
	programs "$root" sh bash mkdir cat
	mkdir -p "$root/usr/local" "$root/go" "$work/module"
	cp -a "$(go env GOROOT)" "$root/usr/local/go"
	cp go.mod go.sum "$work/module"
	(cd "$work/module" && GOMODCACHE=$work/modules GOFLAGS=-modcacherw \
		GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" go mod download)
	mv "$work/modules/cache/download" "$root/modules"
	rm -rf "$work/modules"
	image "$1" "$root" 'ENV PATH=/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin GOPATH=/go GOTOOLCHAIN=local' \
		'ENV GOPROXY=file:///modules GOSUMDB=off' 'WORKDIR /go'
}

# ---- The end ----

cleanup() {
	local code=$? i name
	trap - EXIT
	touch "$work/enough"
	if [[ -n $traffic ]]; then wait "$traffic" || true; fi
	if ((code != 0)); then
		compose ps || true
		compose logs --tail 20 || true
	fi >&2
	compose down --volumes --rmi local --remove-orphans --timeout 5 >"$work/down" 2>&1 || cat "$work/down" >&2
	for name in "${made[@]}"; do docker image rm "$name" >/dev/null 2>&1 || true; done
	docker image prune --force --filter "label=$project=stand-in" >/dev/null || true
	for i in "${!aside[@]}"; do
		docker tag "$project/aside:$i" "${aside[$i]}" && docker image rm "$project/aside:$i" >/dev/null
	done
	rm -rf "$work"
	((code == 0)) && echo 'All is well.'
	exit "$code"
}

# ---- What is needed ----

for program in docker go curl jq; do
	command -v "$program" >/dev/null || fail "this needs $program"
done
docker info >/dev/null 2>&1 || fail 'no Docker daemon answers, or not to you'
if docker compose version >/dev/null 2>&1; then
	compose_command=(docker compose)
elif command -v docker-compose >/dev/null; then
	compose_command=(docker-compose)
else
	fail 'this needs Docker Compose'
fi
trap cleanup EXIT
trap 'exit 130' INT TERM
# Copies, for the script to change. Others must be able to read them.
export WAXWING_FLEET=$work/docker WAXWING_FILTER=$work/primeauth
umask 022
mkdir "$WAXWING_FLEET" "$WAXWING_FILTER"
# What a run that was killed has left.
compose down --volumes --remove-orphans >"$work/down" 2>&1 || fail "compose down: $(cat "$work/down")"
for port in 18000 18001 18080; do
	if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
		fail "something listens on port $port (the demo?): end it and try again"
	fi
done

step "Images ($("${compose_command[@]}" version --short), Docker $(docker version --format '{{.Server.Version}}'))"
envoy_image=$(sed -n 's/^ *image: \(.*envoy:.*\)/\1/p' docker-compose.yaml)
echo_image=$(sed -n 's/^ *image: \(.*http-echo.*\)/\1/p' docker-compose.yaml)
go_image=$(sed -n 's/^FROM \(golang:[^ ]*\).*/\1/p' Dockerfile)
if stand_in "$envoy_image"; then stand_in_envoy "$envoy_image"; fi
if stand_in "$echo_image"; then stand_in_echo "$echo_image"; fi
if stand_in "$go_image"; then stand_in_go "$go_image"; fi

# filter VERSION builds the module as `make filter` does, under a version.
filter() {
	GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -ldflags="-s -w -buildid= -X main.version=$1" \
		-o "$WAXWING_FILTER/primeauth.wasm" ./wasm/primeauth/go
}
cp docker/fleet.yaml "$WAXWING_FLEET"
filter one
compose build >"$work/build" 2>&1 || fail "building xds: $(tail -n 30 "$work/build")"
ok 'xds, by the Dockerfile'

step 'Start'
since=$(date +%s)
compose up --detach 2>"$work/up" || fail "compose up: $(tail -n 30 "$work/up")"
# One line for each start, and for each container that became healthy.
docker events --since "$since" --until "$(($(date +%s) + 1))" --filter event=start --filter event=health_status \
	--filter "label=com.docker.compose.project=$project" \
	--format '{{.Status}} {{index .Actor.Attributes "com.docker.compose.service"}}' >"$work/order"
awk '/^start envoy/ && !(healthy && echo) {exit 1} /^health_status: healthy xds/ {healthy = 1} /^start echo/ {echo = 1}
	/^start envoy/ {n++} END {if (n != 3) exit 1}' "$work/order" ||
	fail "not three proxies after xds was healthy and the echo started: $(cat "$work/order")"
ok 'three proxies were started, when xds was healthy and the echo had started'
eventually 'xds is healthy' healthy 1 xds
eventually 'three proxies are healthy' healthy 3 envoy envoy-replica
eventually 'three proxies serve, each by the id of its container' serving 3

for id in $(containers xds envoy envoy-replica); do
	users=$(docker top "$id" -eo uid,pid,comm | awk 'NR > 1 {print $1}' | sort -u)
	[[ -n $users && ! " $users " =~ [[:space:]]0[[:space:]] ]] || fail "users in container $id: $users"
done
ok 'nothing in xds and the proxies runs as root'

step 'Requests'
eventually "token 32323: 200" answers 200 $'Welcome to WASM land\n' --header 'token: 32323' localhost:18000
eventually "token 323232: 403" answers 403 $'Access forbidden.\n' --header 'token: 323232' localhost:18000
eventually 'the admin interface is on 18001' answers 200 $'LIVE\n' localhost:18001/ready
eventually 'the echo is on 18080' answers 200 $'Welcome to WASM land\n' localhost:18080
eventually 'every proxy lets 32323 through' all_answer 32323 '^HTTP/1.1 200' '^Welcome to WASM land$'
eventually 'every proxy denies 323232' all_answer 323232 '^HTTP/1.1 403' '^Access forbidden.$'
send &
traffic=$!

step 'Two more proxies'
first=$(proxies)
before=$(running <<<"$first")
compose up --detach --scale envoy-replica=4 2>"$work/up" || fail "compose up: $(tail -n 30 "$work/up")"
eventually 'five proxies are healthy' healthy 5 envoy envoy-replica
eventually 'five proxies serve' serving 5
diff <(echo "$before") <(running <<<"$first") || fail 'the first three were restarted'
ok 'the first three were left alone'
before=$(proxies | running)

step 'A saved fleet file'
sed 's/denied_status: 403/denied_status: 401, response_header: x-build/' docker/fleet.yaml >"$WAXWING_FLEET/fleet.yaml"
eventually 'every proxy denies with 401' all_answer 323232 '^HTTP/1.1 401' '^x-build: primeauth/one$'
eventually 'five proxies serve' serving 5

step 'A rebuilt module'
filter two
eventually 'every proxy runs the new build' all_answer 323232 '^HTTP/1.1 401' '^x-build: primeauth/two$'
eventually 'five proxies serve' serving 5

step 'A restart of xds, over a broken fleet file'
revision=$(status | jq --compact-output '.fleets[0].serving')
echo 'fleet: [' >"$WAXWING_FLEET/fleet.yaml"
broken() { status | jq --exit-status '[.fleets[].problem // empty, .problems[]?] | length > 0'; }
eventually 'the file is refused' broken
compose restart xds 2>"$work/up" || fail "compose restart: $(cat "$work/up")"
eventually 'xds is healthy again' healthy 1 xds
eventually 'five proxies serve' serving 5
[[ $(status | jq --compact-output '.fleets[0].serving') == "$revision" ]] || fail "xds came back with another revision than $revision"
ok "xds has kept revision $revision"
eventually 'every proxy goes on' all_answer 32323 '^HTTP/1.1 200' '^x-build: primeauth/two$'
cp docker/fleet.yaml "$WAXWING_FLEET"
eventually 'the mended file reaches every proxy' all_answer 323232 '^HTTP/1.1 403'
eventually 'five proxies serve' serving 5

step 'All along'
diff <(echo "$before") <(proxies | running) || fail 'a proxy was restarted'
ok 'no proxy was restarted'
eventually 'all are healthy' healthy 6 xds envoy envoy-replica
touch "$work/enough"
wait "$traffic"
traffic=
[[ ! -e $work/failures ]] || fail "of $(cat "$work/sent") requests: $(head -n 5 "$work/failures")"
ok "$(cat "$work/sent") requests were sent, and all let through"
echo
