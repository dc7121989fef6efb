#!/usr/bin/env python3
"""Empties a host through Whimbrel's gRPC API: inventory, plan, apply, watch.

Exit codes: 0 done, 1 refused by the checker or not every VM arrived, 2 error. Decides nothing by
itself: no retries, no skipped notes, no cancelling.
"""

import argparse
import importlib.resources
import pathlib
import sys
import tempfile

import grpc
from grpc_tools import protoc

PROTO_ROOT = pathlib.Path(__file__).resolve().parents[2] / "scheduler" / "proto" / "proto"
PROTO = "whimbrel/v1/whimbrel.proto"
MESSAGE_SIZE_MAX = 16 << 20
CALL_SECONDS_MAX = 300


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", required=True, help="HOST:PORT of the server")
    parser.add_argument("--ca", required=True, help="authority of the server's certificate, PEM")
    parser.add_argument("--cert", required=True, help="this client's certificate, PEM")
    parser.add_argument("--key", required=True, help="its private key, PEM")
    parser.add_argument("--drain", required=True, metavar="HOST", help="the host to empty")
    parser.add_argument("--seed", type=int, default=1, help="seed of planning and simulation")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    return parser.parse_args()


def generate(directory):
    """Generates the client into `directory` and imports it: (messages, services)."""
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    command = ["protoc", f"-I{PROTO_ROOT}", f"-I{well_known}"]
    command += [f"--python_out={directory}", f"--grpc_python_out={directory}", PROTO]
    if protoc.main(command) != 0:
        raise RuntimeError(f"{PROTO_ROOT / PROTO} does not compile")
    sys.path.insert(0, directory)
    from whimbrel.v1 import whimbrel_pb2, whimbrel_pb2_grpc

    return whimbrel_pb2, whimbrel_pb2_grpc


def connect(args):
    def read(path):
        return pathlib.Path(path).read_bytes()

    credentials = grpc.ssl_channel_credentials(
        root_certificates=read(args.ca),
        private_key=read(args.key),
        certificate_chain=read(args.cert),
    )
    options = [
        ("grpc.max_receive_message_length", MESSAGE_SIZE_MAX),
        ("grpc.max_send_message_length", MESSAGE_SIZE_MAX),
    ]
    return grpc.secure_channel(args.endpoint, credentials, options)


def seconds(micros):
    return f"{micros / 1e6:.2f} s"


def milliseconds(micros):
    return f"{micros / 1e3:.0f} ms"


def mebibytes(count):
    return f"{count / (1 << 20):.0f} MiB"


def band(quantiles, show):
    """The median with the 90 % band."""
    return f"{show(quantiles.p50)} ({show(quantiles.p05)} .. {show(quantiles.p95)})"


def print_inventory(pb, inventory):
    for host in inventory.hosts:
        domains = sum(1 for domain in inventory.domains if domain.host == host.name)
        state = pb.HostState.Name(host.state).removeprefix("HOST_STATE_").lower()
        print(f"host {host.name}: {state}, {mebibytes(host.memory_bytes)}, {domains} domains")


def print_plan(pb, response):
    plan = response.plan
    print(f"plan {plan.id}: {len(plan.moves)} moves in {seconds(plan.makespan_micros)}")
    for move in plan.moves:
        cost = move.predicted
        print(
            f"  at {move.begins_micros / 1e6:.1f} s  {move.vm}: {move.from_host} -> {move.to_host}"
            f"  total {band(cost.total_time_micros, seconds)}"
            f"  bytes {band(cost.transferred_bytes, mebibytes)}"
            f"  downtime {band(cost.downtime_micros, milliseconds)}"
            f"  converges {cost.converges_share:.0%}  [{move.reason.code}]"
        )
    for stay in plan.stays:
        print(f"  stays   {stay.vm}: {stay.reason.text} [{stay.reason.code}]")
    for remark in plan.remarks:
        print(f"  {'warning: ' if remark.warns else ''}{remark.text} [{remark.code}]")
    for note in response.notes:
        severity = pb.NoteSeverity.Name(note.severity).removeprefix("NOTE_SEVERITY_").lower()
        print(f"  {severity}: {note.subject}: {note.text} [{note.code}]")
    simulated = response.simulation
    print(f"simulated: {simulated.arrived} of {simulated.moves} moves arrive")
    for violation in simulated.violations:
        print(f"  violated: {violation}")


def may_run(pb, response):
    """Whether checker and simulator let the plan pass."""
    fatal = any(note.severity == pb.NOTE_SEVERITY_FATAL for note in response.notes)
    simulated = response.simulation
    return not fatal and not simulated.violations and simulated.arrived == simulated.moves


def watch(pb, scheduler, operation_id):
    """Prints every change until the operation has ended; returns its last state."""
    shown = {}
    operation = None
    for response in scheduler.WatchOperation(pb.WatchOperationRequest(id=operation_id)):
        operation = response.operation
        for move in operation.moves:
            state = pb.MoveState.Name(move.state).removeprefix("MOVE_STATE_").lower()
            line = f"{move.vm}: {state} {move.detail}".rstrip()
            if move.state == pb.MOVE_STATE_COPYING and move.HasField("progress"):
                line += f", {mebibytes(move.progress.remaining_bytes)} remain"
            if move.HasField("stats"):
                line += f", total {seconds(move.stats.total_time_micros)}"
                line += f", downtime {milliseconds(move.stats.downtime_micros)}"
            if shown.get(move.id) != line:
                shown[move.id] = line
                print(line, flush=True)
    return operation


def drain(args, pb, scheduler):
    limit = {"timeout": CALL_SECONDS_MAX}
    print_inventory(pb, scheduler.GetInventory(pb.GetInventoryRequest(), **limit))
    goal = pb.Goal(drain=pb.DrainGoal(hosts=[args.drain]))
    planned = scheduler.Plan(pb.PlanRequest(goal=goal, seed=args.seed), **limit)
    print_plan(pb, planned)
    if not may_run(pb, planned):
        return 1
    if args.dry_run or not planned.plan.moves:
        return 0
    request = pb.ApplyRequest(plan_text=planned.plan.text, expected_digest=planned.plan.digest)
    operation = watch(pb, scheduler, scheduler.Apply(request, **limit).operation.id)
    state = pb.OperationState.Name(operation.state).removeprefix("OPERATION_STATE_").lower()
    print(f"operation {operation.id}: {state}")
    return 0 if operation.state == pb.OPERATION_STATE_SUCCEEDED else 1


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as directory:
        try:
            pb, services = generate(directory)
            with connect(args) as channel:
                return drain(args, pb, services.SchedulerStub(channel))
        except grpc.RpcError as error:
            print(f"error: {error.code().name}: {error.details()}", file=sys.stderr)
            hints = [value for key, value in error.trailing_metadata() or [] if key == "whimbrel-hint"]
            for hint in hints:
                print(f"hint: {hint}", file=sys.stderr)
        except (OSError, RuntimeError) as error:
            print(f"error: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
