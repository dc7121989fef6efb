"""`python3 -m peers`: draws instances, runs one planner on one, judges and scores placements."""

import argparse
import importlib
import json
import pathlib
import sys

from peers import cluster as plain
from peers import families, ganeti, judge, measure

TOOLS = ("hbal", "hspace", "onedrs", "cpsat", "watcher", "greedy")


def arguments(words):
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="peers", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    draw = verbs.add_parser("generate", help="draw an instance and write it")
    draw.add_argument("family", choices=sorted(families.FAMILIES))
    draw.add_argument("hosts", type=int)
    draw.add_argument("vms_per_host", type=int)
    draw.add_argument("--seed", type=int, default=1)
    draw.add_argument("--overload-above", type=float, metavar="PART")
    draw.add_argument("--out", required=True, metavar="JSON")
    draw.add_argument("--ganeti", metavar="TEXT", help="also in Ganeti's form, with TEXT.dynu")
    run = verbs.add_parser("run", help="run a planner, judge it, print one line of JSON")
    run.add_argument("tool", choices=TOOLS)
    run.add_argument("cluster", metavar="JSON")
    run.add_argument("--limit-seconds", type=float, help="time that the planner is given")
    run.add_argument("--moves-max", type=int, help="hbal and onedrs: no more moves")
    run.add_argument("--policy", choices=("balance", "pack"), help="onedrs")
    run.add_argument("--solver", choices=("cbc", "highs"), help="onedrs")
    run.add_argument("--metrics", help="onedrs: of cpu_use, cpu, memory: cpu_use=1,memory=1")
    run.add_argument("--spec", default="32768,8", help="hspace: MiB,vCPUs")
    run.add_argument("--placement", metavar="OUT", help="write the placement, too")
    _judging(run)
    one = verbs.add_parser("judge", help="judge a placement, print one line of JSON")
    one.add_argument("cluster", metavar="JSON")
    one.add_argument("placement", metavar="PLACEMENT", help="`-` is the present one")
    one.add_argument("--tool", default="given", help="whose placement it is")
    _judging(one)
    return parser.parse_args(words)


def _judging(parser):
    parser.add_argument("--hbal-score", action="store_true", help="also by hbal's own score")
    parser.add_argument("--no-losses", action="store_true", help="do not try to lose every host")


def generate(args):
    """Draws, writes, and says what was drawn."""
    drawn = families.FAMILIES[args.family](args.hosts, args.vms_per_host, args.seed)
    if args.overload_above is not None:
        drawn.name += f"-above-{args.overload_above}"
        drawn.objective.chords = plain.chords(args.overload_above)
    plain.write(drawn, args.out)
    if args.ganeti:
        ganeti.write(drawn, args.ganeti)
    return measure.line(drawn, "none", {}, [judge.judge(drawn, drawn.placement(), False)])


def run(args):
    """Runs one planner and judges what it gave."""
    cluster = plain.read(args.cluster)
    options, call = planner(args, cluster)
    answer, costs = measure.run(call)
    parts = [costs, answer.figures]
    if answer.placement is not None:
        parts.append(verdict(args, cluster, answer.placement))
        if args.placement:
            write_placement(answer.placement, args.placement)
    return measure.line(cluster, args.tool, options, parts)


def planner(args, cluster):
    """The options that were given, and the call that plans with them."""
    options = {}
    for name in ("limit_seconds", "moves_max", "policy", "solver"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    if args.metrics:
        pairs = (part.split("=") for part in args.metrics.split(","))
        options["metrics"] = {name: float(weight) for name, weight in pairs}
    if args.tool == "hspace":
        memory_mib, vcpus = (int(part) for part in args.spec.split(","))
        options |= {"memory_mib": memory_mib, "vcpus": vcpus}
    module = importlib.import_module(f"peers.{'hbal' if args.tool == 'hspace' else args.tool}")
    plan = module.how_many_more if args.tool == "hspace" else module.plan
    return options, lambda: plan(cluster, **options)


def verdict(args, cluster, placement):
    """The judge's figures, and hbal's score where it is asked for."""
    figures = judge.judge(cluster, placement, not args.no_losses)
    if args.hbal_score:
        from peers import hbal

        figures["hbal_score"] = hbal.score(cluster, placement)
    return figures


def read_placement(cluster, path):
    """The placement in a file, or the present one."""
    if path == "-":
        return cluster.placement()
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["placement"]


def write_placement(placement, path):
    """Writes `{"placement": {guest: host}}`."""
    text = json.dumps({"placement": placement}, indent=0)
    pathlib.Path(path).write_text(text + "\n", encoding="utf-8")


def main(words):
    """Returns the exit code: 0 done, 2 an error that is said."""
    args = arguments(words)
    try:
        if args.verb == "generate":
            print(generate(args))
        elif args.verb == "run":
            print(run(args), flush=True)
        else:
            cluster = plain.read(args.cluster)
            figures = verdict(args, cluster, read_placement(cluster, args.placement))
            print(measure.line(cluster, args.tool, {}, [figures]))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, ImportError) as error:
        print(f"error: {error!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
