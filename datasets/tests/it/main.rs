//! The store from outside: what is written comes back, and damage is named.

#[cfg(test)]
mod campaign;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod import;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod traces;
