package main

import (
	"slices"
	"strings"

	"connvo/auth"
	"connvo/domain"
	"connvo/handlers"
)

// elsewhere is where the meetings of other regions are, as flags.
type elsewhere struct {
	HomeLabels []string `env:"CONNVO_HOME_LABELS" help:"The labels of meetings that live in this region beside its own, such as that of a region which was closed."`
	RegionURLs []string `name:"region-url" env:"CONNVO_REGION_URL" help:"Where requests for meetings of another region are sent, as label=URL, such as ams=https://ams.example.com."`
	FlyApp     string   `name:"fly-app-name" env:"FLY_APP_NAME" help:"The app on Fly.io, which sets it: there requests for another region of Fly.io go to the app's machines in that region."`
}

// region says whose replica a command reads, as a flag.
type region struct {
	Region string `env:"CONNVO_REGION,FLY_REGION" default:"loc" help:"The label of the region whose replica it is, where the URL has {region}."`
}

// in returns the place of the region's replica: each has a database of its own, and
// machines of one app on Fly.io have one configuration.
func (p place) in(region string) place {
	p.ReplicaURL = strings.ReplaceAll(p.ReplicaURL, "{region}", region)
	return p
}

// maxRegions is more than there are.
const maxRegions = 100

// regions is where meetings are, of a configuration that check lets through.
func (c *serveCommand) regions() handlers.Regions {
	regions := handlers.Regions{
		Home: append([]string{c.Region}, c.HomeLabels...), URLs: map[string]string{}, Replays: c.FlyApp != "" || c.FlyMachine != "",
	}
	for _, one := range c.RegionURLs {
		label, base, _ := strings.Cut(one, "=")
		regions.URLs[label] = strings.TrimRight(base, "/")
	}
	return regions
}

// checkRegions refuses what is wrong with the labels of this region and others.
func (c *serveCommand) checkRegions(refuse func(format string, args ...any)) {
	const form = "1 to 16 lower-case letters and digits"
	if !domain.IsLabel(c.Region) {
		refuse("--region %q: "+form, c.Region)
	}
	for _, label := range c.HomeLabels {
		if !domain.IsLabel(label) {
			refuse("--home-labels %q: a label has "+form, label)
		}
	}
	if len(c.HomeLabels) > maxRegions {
		refuse("--home-labels: %d labels, more than %d", len(c.HomeLabels), maxRegions)
	}
	seen := map[string]bool{}
	for _, one := range c.RegionURLs {
		label, base, found := strings.Cut(one, "=")
		switch {
		case !found || !domain.IsLabel(label):
			refuse("--region-url: write label=URL, such as ams=https://ams.example.com; a label has " + form)
		case label == c.Region || slices.Contains(c.HomeLabels, label):
			refuse("--region-url of %q: meetings with that label live in this region", label)
		case seen[label]:
			refuse("--region-url of %q: it has two URLs", label)
		}
		seen[label] = true
		if u, isSite := site(base); found && !isSite {
			refuse("--region-url of %q: write scheme and host, such as %s=https://%s.example.com", label, label, label)
		} else if found && u.Scheme == "http" && !auth.LocalHost(u.Host) {
			refuse("--region-url of %q: https, because tokens and tickets travel there; http is for this machine only", label)
		} else if found && strings.TrimRight(base, "/") == strings.TrimRight(c.PublicURL, "/") {
			refuse("--region-url of %q: it is the --public-url of this server, which would send requests to itself for ever", label)
		}
	}
	if len(c.RegionURLs) > maxRegions {
		refuse("--region-url: %d regions, more than %d", len(c.RegionURLs), maxRegions)
	}
}
