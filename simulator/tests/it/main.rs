//! The simulator with the real engine: laboratory figures, scenarios, crashes, determinism.

#[cfg(test)]
mod branch;
#[cfg(test)]
mod burden;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod common;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod determinism;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod impossible;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod physics;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod world;
