# The jobs of the project, one command each. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test lint lab-up lab-down lab-demo figures figures-readme record campaign experiment-timing experiment-choosing experiment-drains packages-build packages-libvirt packages-lab

PACKAGES := tests/setup/packages.sh
WHIMBREL := target/debug/whimbrel

help: ## List the jobs
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 21

demo: packages-build ## Plan, simulate and compare a drain and a balance on recorded telemetry (no root to run)
	cargo build --package whimbrel --no-default-features
	$(WHIMBREL) demo --data datasets/recorded --report target/demo

test: packages-lab ## Everything: unit, property, scenario, crash and lab tests on real libvirt
	cargo test --workspace --all-features

lint: packages-lab ## Format, clippy with warnings denied, licences and sources, layering and tidiness
	cargo fmt --all --check
	cargo clippy --workspace --all-features --all-targets -- --deny warnings
	cargo xtask proto --check
	cargo xtask tidy
	@command -v cargo-deny >/dev/null || cargo install cargo-deny --locked
	cargo deny --log-level error check licenses bans sources

lab-up: packages-lab ## Three real libvirt and QEMU hosts in namespaces of this machine
	cargo build --package whimbrel-lab
	target/debug/whimbrel-lab up

lab-down: ## Stop the lab and leave nothing behind
	cargo build --package whimbrel-lab
	target/debug/whimbrel-lab down

lab-demo: packages-lab ## Drain a real host by plan and apply, predicted against measured
	cargo build --package whimbrel --package whimbrel-lab --features libvirt
	tests/lab/demo.sh

figures: packages-lab ## The headline figures as JSON lines, measured anew
	cargo build --package whimbrel --package whimbrel-lab --package whimbrel-benches --all-features
	target/debug/whimbrel-figures

figures-readme: packages-lab ## The same, and the table in README.md
	cargo build --package whimbrel --package whimbrel-lab --package whimbrel-benches --all-features
	target/debug/whimbrel-figures --readme

record: packages-lab ## Record again what is in datasets/recorded, into target/recorded (40 minutes)
	cargo build --package whimbrel-lab --package whimbrel-tests
	target/debug/whimbrel-lab up
	rm -rf target/recorded
	target/debug/whimbrel-lab exec target/debug/whimbrel-record target/recorded

campaign: export WHIMBREL_LAB_NAME = campaign
campaign: export WHIMBREL_LAB_DIR = /tmp/whimbrel-campaign
campaign: export WHIMBREL_LAB_LIBVIRT = 11.3
campaign: packages-lab ## Record a thousand migrations of drawn guests into target/campaign (65 minutes; goes on where it was stopped)
	@$(PACKAGES) lab-libvirt-$$WHIMBREL_LAB_LIBVIRT
	cargo build --package whimbrel-lab --package whimbrel-tests
	target/debug/whimbrel-lab up
	target/debug/whimbrel-lab exec target/debug/whimbrel-campaign target/campaign --compressed-channels
	target/debug/whimbrel-lab down

experiment-timing: packages-lab ## Requests at drawn phases of cyclic guests: at once, at random, when told (target/experiment, 40 minutes)
	cargo build --package whimbrel-lab --package whimbrel-tests
	target/debug/whimbrel-lab up
	target/debug/whimbrel-lab exec target/debug/whimbrel-experiment timing target/experiment

experiment-choosing: packages-lab ## Drawn cases with settings by Whimbrel, by fixed modes and by time-outs (target/experiment, 10 minutes)
	cargo build --package whimbrel-lab --package whimbrel-tests
	target/debug/whimbrel-lab up
	target/debug/whimbrel-lab exec target/debug/whimbrel-experiment choosing target/experiment

experiment-drains: packages-lab ## Drains with one to four migrations at a time and as planned, simulated and real (target/experiment, 15 minutes)
	cargo build --package whimbrel-lab --package whimbrel-tests
	target/debug/whimbrel-lab up
	target/debug/whimbrel-lab exec target/debug/whimbrel-experiment drains target/experiment

packages-build:
	@$(PACKAGES) build

packages-libvirt: packages-build
	@$(PACKAGES) libvirt

packages-lab: packages-libvirt
	@$(PACKAGES) lab
