package main

import (
	"os"
	"runtime"
	"strings"
)

// machine is where the figures were taken.
type machine struct {
	Cores int    `json:"cores"`
	CPU   string `json:"cpu"`
	Go    string `json:"go"`
	OS    string `json:"os"`
	Disk  string `json:"disk"` // file system under the fresh database: on tmpfs a sync costs nothing
}

// thisMachine describes the machine and the file system that holds dir; what cannot be found out is left empty.
func thisMachine(dir string) machine {
	info, _ := os.ReadFile("/proc/cpuinfo")
	mounts, _ := os.ReadFile("/proc/mounts")
	return machine{Cores: runtime.NumCPU(), CPU: parseModel(string(info)), Go: runtime.Version(),
		OS: runtime.GOOS + "/" + runtime.GOARCH, Disk: parseMounts(string(mounts), dir)}
}

// parseModel takes the first line "model name : …".
func parseModel(info string) string {
	for line := range strings.Lines(info) {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// parseMounts returns the type of the file system with the longest mount point above dir; of several on one
// point the last, which hides the others.
func parseMounts(mounts, dir string) string {
	longest, kind := -1, ""
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		at := strings.TrimSuffix(f[1], "/")
		if (dir == at || strings.HasPrefix(dir, at+"/")) && len(at) >= longest {
			longest, kind = len(at), f[2]
		}
	}
	return kind
}
