package diagnose

import "github.com/outlast-build/outlast/fault"

// machineRows are failures of what the build runs on: runners of CI systems,
// pods, virtual machines that were taken away.
var machineRows = []Pattern{
	{Name: "runner-lost", Service: "buildkit", Kind: fault.Engine, Weight: Certain, Match: re(`(?i)runner\b.* lost communication with the server|runner has received a shutdown signal|Job failed \(system failure\)|runner system failure|agent (?:was )?(?:lost|disconnected|went offline)|lost connection to the (?:agent|machine|runner)|Cannot contact \S+: java\.lang|ChannelClosedException|wrapper script does not seem to be touching the log|spot (?:instance|interruption)|node was (?:preempted|drained)|instance (?:was )?(?:preempted|terminated by)|the hosted (?:runner|agent) .*(?:stopped|lost)|worker (?:went away|disconnected)`),
		Sample: "The self-hosted runner: build-7 lost communication with the server.", Hint: "the machine of the build went away: start the job again"},
	{Name: "pod-lost", Service: "buildkit", Kind: fault.Engine, Weight: Specific, Match: re(`expected \d+ replicas? to be ready|pods? "[^"]*" not found|\bpod \S+ (?:was )?(?:evicted|deleted|terminated)|The node was low on resource|error dialing backend|unable to upgrade connection|waiting for \d+ pods to be ready.*timed? ?out`),
		Sample: "ERROR: expected 1 replicas to be ready, got 0", Hint: "the builder's pod is not there: see kubectl describe pod"},
	{Name: "pod-forbidden", Service: "buildkit", Kind: fault.Config, Weight: Specific, Match: re(`is forbidden: User "[^"]*" cannot`),
		Sample: `deployments.apps is forbidden: User "system:serviceaccount:ci:default" cannot create resource`, Hint: "the account of the cluster may not do that: ask for the role"},
	{Name: "engine-panic", Service: "buildkit", Kind: fault.Platform, Weight: Likely, Match: re(`^panic: (?:assignment to entry in nil map|runtime error:)`),
		Sample: "panic: assignment to entry in nil map", Hint: "the tool itself broke down: try another version of it"},
	{Name: "engine-rpc", Service: "buildkit", Kind: fault.Engine, Weight: Wrapper, Match: re(`code = Internal desc|^(?:ERROR: )?Internal: |RST_STREAM|error reading preface|\(\*service\)\.Write failed`),
		Sample: "rpc error: code = Internal desc = stream terminated by RST_STREAM with error code: INTERNAL_ERROR"},
}
