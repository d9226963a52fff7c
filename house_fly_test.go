package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// What is deployed is configured in files that no compiler reads.

// flyKeys are the keys of fly.toml that we use, as Fly's reference of the file has them.
var flyKeys = map[string][]string{
	"":                         {"app", "primary_region", "kill_signal", "kill_timeout"},
	"build":                    {"dockerfile"},
	"deploy":                   {"strategy", "max_unavailable"},
	"mounts":                   {"source", "destination", "initial_size", "snapshot_retention", "auto_extend_size_threshold", "auto_extend_size_increment", "auto_extend_size_limit"},
	"metrics":                  {"port", "path"},
	"http_service":             {"internal_port", "force_https", "auto_stop_machines", "auto_start_machines", "min_machines_running"},
	"http_service.concurrency": {"type", "soft_limit", "hard_limit"},
	"http_service.checks":      {"method", "path", "grace_period", "interval", "timeout"},
	"checks.alive":             {"type", "port", "method", "path", "grace_period", "interval", "timeout"},
	"vm":                       {"size", "memory"},
}

// flyCommands are the commands of flyctl that docs/fly.md names, with the flags of its
// reference that are used there.
var flyCommands = map[string][]string{
	"apps create":      nil,
	"launch":           {"copy-config", "no-deploy"},
	"storage create":   {"name"},
	"secrets set":      {"stage"},
	"config validate":  {"strict"},
	"deploy":           {"ha", "env", "build-arg"},
	"logs":             {"no-tail"},
	"checks list":      nil,
	"releases":         {"image"},
	"machine list":     nil,
	"machine clone":    {"region", "volume-requires-unique-zone", "attach-volume"},
	"machine destroy":  {"force"},
	"machine cordon":   nil,
	"machine stop":     nil,
	"machine run":      {"region", "volume", "env", "rm"},
	"volumes list":     nil,
	"volumes create":   {"region", "size", "snapshot-retention"},
	"volumes destroy":  nil,
	"machine uncordon": nil,
}

// foreignVariables are those of others that the guides name.
var foreignVariables = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}

var (
	variableName = regexp.MustCompile(`\b(?:CONNVO|WORKOS|FLY|AWS)_[A-Z0-9_]+\b`)
	flagName     = regexp.MustCompile(`--([a-z][a-z-]*)`)
	flyCommand   = regexp.MustCompile("(?m)^fly [^\n]+$|`fly [^`]+`")
)

// setting is a line of fly.toml.
type setting struct{ section, key, value string }

// settingsOf reads the part of TOML that fly.toml is written in.
func settingsOf(text string) (all []setting, complaints []string) {
	section := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, found := strings.CutPrefix(line, "["); found {
			section = strings.Trim(name, "[]")
			continue
		}
		key, value, found := strings.Cut(line, " = ")
		if inside, quoted := strings.CutPrefix(value, `"`); quoted {
			text, rest, closed := strings.Cut(inside, `"`)
			rest = strings.TrimSpace(rest)
			value, found = text, closed && (rest == "" || rest[0] == '#')
		} else if _, err := strconv.ParseFloat(value, 64); err != nil && value != "true" && value != "false" {
			found = false
		}
		if !found {
			complaints = append(complaints, fmt.Sprintf("fly.toml:%d: write key = value, with texts in quotation marks", i+1))
			continue
		}
		all = append(all, setting{section, key, value})
	}
	return all, complaints
}

func keyComplaints(all []setting) (complaints []string) {
	for _, s := range all {
		if s.section == "env" {
			continue // names of variables, which TestHouseNamesOfConfiguration looks at
		}
		if !slices.Contains(flyKeys[s.section], s.key) {
			complaints = append(complaints, fmt.Sprintf("fly.toml: Fly knows no %s.%s that we use: see its reference, then add it to flyKeys", s.section, s.key))
		}
	}
	return complaints
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHouseFly(t *testing.T) {
	all, complaints := settingsOf(read(t, "fly.toml"))
	report(t, append(complaints, keyComplaints(all)...))
	of := map[string]string{}
	for _, s := range all {
		of[s.section+"."+s.key] = s.value
	}
	if got := path.Dir(of["env.CONNVO_DB"]); got != of["mounts.destination"] {
		t.Errorf("the database is in %s, the volume in %s", got, of["mounts.destination"])
	}
	for variable, ports := range map[string][]string{"CONNVO_LISTEN": {"http_service.internal_port", "checks.alive.port"}, "CONNVO_METRICS_LISTEN": {"metrics.port"}} {
		_, listens, _ := net.SplitHostPort(of["env."+variable])
		for _, name := range ports {
			if of[name] != listens {
				t.Errorf("%s is %s, and %s has port %q", name, of[name], variable, listens)
			}
		}
	}
	if wait, err := time.ParseDuration(of[".kill_timeout"]); err != nil || wait <= stopTime || of[".kill_signal"] != "SIGTERM" {
		t.Errorf("%s and %s: connvo needs up to %s after SIGTERM", of[".kill_signal"], of[".kill_timeout"], stopTime)
	}
	for name, want := range map[string]string{
		"http_service.auto_stop_machines": "off", "http_service.concurrency.type": "requests", "deploy.strategy": "rolling",
		"http_service.checks.path": "/readyz", "checks.alive.path": "/healthz", "metrics.path": "/metrics", "build.dockerfile": "Dockerfile",
	} {
		if of[name] != want {
			t.Errorf("%s is %q, want %q", name, of[name], want)
		}
	}
}

func TestHouseFlyCanFail(t *testing.T) {
	for text, complaint := range map[string]string{
		"app = \"connvo\" # yours":                            "",
		"[http_service]\n  internal_port = 8080":              "",
		"[[http_service.checks]]\n  path = \"/readyz\"":       "",
		"[env]\n  ANYTHING = \"x\"":                           "",
		"[http_service]\n  internal_ports = 8080":             "knows no http_service.internal_ports",
		"[http_server]\n  internal_port = 8080":               "knows no http_server.internal_port",
		"app = connvo":                                        "fly.toml:1: write key = value",
		"app=\"connvo\"":                                      "fly.toml:1: write key = value",
		"app = \"connvo":                                      "fly.toml:1: write key = value",
		"# app = connvo\n\nkill_timeout = 35\nprimary_region": "fly.toml:4: write key = value",
	} {
		all, complaints := settingsOf(text)
		expect(t, append(complaints, keyComplaints(all)...), complaint)
	}
}

func TestHouseNamesOfConfiguration(t *testing.T) {
	parser, err := kong.New(&commands{}, kong.Name("connvo"))
	if err != nil {
		t.Fatal(err)
	}
	variables, flags := slices.Clone(foreignVariables), []string{}
	for _, command := range parser.Model.Leaves(false) {
		for _, f := range command.Flags {
			variables, flags = append(variables, f.Envs...), append(flags, f.Name)
		}
	}
	for _, name := range []string{"fly.toml", "Dockerfile", "docs/fly.md", "docs/regions.md"} {
		report(t, variableComplaints(name, read(t, name), variables))
	}
	report(t, flagComplaints("docs/regions.md", read(t, "docs/regions.md"), flags))
	report(t, flyComplaints("docs/fly.md", read(t, "docs/fly.md"), flags))
}

func variableComplaints(name, text string, known []string) (complaints []string) {
	for _, v := range variableName.FindAllString(text, -1) {
		if !slices.Contains(known, v) {
			complaints = append(complaints, fmt.Sprintf("%s: connvo reads no %s", name, v))
		}
	}
	return complaints
}

func flagComplaints(name, text string, known []string) (complaints []string) {
	for _, f := range flagName.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, f[1]) {
			complaints = append(complaints, fmt.Sprintf("%s: there is no --%s", name, f[1]))
		}
	}
	return complaints
}

// flyComplaints looks at the commands of flyctl in a guide, and at the flags besides.
func flyComplaints(name, text string, ours []string) (complaints []string) {
	for _, command := range flyCommand.FindAllString(text, -1) {
		line := strings.TrimPrefix(strings.Trim(command, "`"), "fly ")
		words := strings.Fields(line)
		flags, found := flyCommands[words[0]]
		if !found && len(words) > 1 {
			flags, found = flyCommands[words[0]+" "+words[1]]
		}
		if !found {
			complaints = append(complaints, fmt.Sprintf("%s: flyctl has no %q that we know: see its reference, then add it to flyCommands", name, line))
			continue
		}
		complaints = append(complaints, flagComplaints(name+": fly "+line, line, flags)...)
	}
	return append(complaints, flagComplaints(name, flyCommand.ReplaceAllString(text, ""), append(ours, flyCommands["deploy"]...))...)
}

func TestHouseNamesOfConfigurationCanFail(t *testing.T) {
	known := []string{"CONNVO_DB", "replica-url"}
	for text, complaint := range map[string]string{
		"set CONNVO_DB":                       "",
		"set CONNVO_DATABASE=x":               "connvo reads no CONNVO_DATABASE",
		"say --replica-url":                   "",
		"say --replica":                       "there is no --replica",
		"fly deploy --ha=false":               "",
		"see `fly logs --no-tail`":            "",
		"fly machine clone <m> --region fra":  "",
		"fly machine clone <m> --zone fra":    "there is no --zone",
		"fly machines clone <m> --region fra": "flyctl has no",
		"see `fly scale count 2`":             "flyctl has no",
	} {
		expect(t, append(variableComplaints("x.md", text, known), flyComplaints("x.md", text, known)...), complaint)
	}
}

// TestHouseDockerfile looks at what can be known without Docker.
func TestHouseDockerfile(t *testing.T) {
	text, module := read(t, "Dockerfile"), read(t, "go.mod")
	image := regexp.MustCompile(`(?m)^FROM golang:(\d+\.\d+) AS build$`).FindStringSubmatch(text)
	wants := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(module)
	if image == nil || wants == nil || image[1] != wants[1] {
		t.Errorf("the image builds with Go %q, go.mod asks for %q", image, wants)
	}
	for _, line := range []string{
		"FROM scratch", "COPY --from=build /src/connvo /connvo", `ENTRYPOINT ["/connvo"]`, "USER 65532:65532", "VOLUME /data", `RUN make build VERSION="$VERSION" && mkdir /data`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the Dockerfile has no line %s", line)
		}
	}
	// What make would run, in the build's words.
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
	out, err := exec.Command("make", "-n", "build", "VERSION=1.2.3").Output()
	const build = "CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=1.2.3' -o connvo ."
	if err != nil || strings.TrimSpace(string(out)) != build {
		t.Errorf("make build runs %q (%v), want %q", out, err, build)
	}
}
