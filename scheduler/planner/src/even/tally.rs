//! The score of a placement, and of one that differs by an amount on two hosts, in constant time.
//!
//! With shares x of n hosts, n times the standard deviation is sqrt(n * sum x^2 - (sum x)^2), so
//! the two sums are all that a change has to know. Scores are told times the number of hosts:
//! what one move is worth does not depend on it then.

use super::resources::{Amounts, RESOURCES_MAX, Resources};

/// Sums over the hosts that take part.
#[derive(Clone)]
pub(super) struct Tally<'a> {
    resources: &'a Resources,
    /// Each host's used part of each resource, less the mean at the start, so that the squares
    /// are small where the deviations are.
    shares: Vec<Amounts>,
    sum: Amounts,
    squares: Amounts,
    count: f64,
}

impl<'a> Tally<'a> {
    /// Of hosts with these shares.
    pub(super) fn of(resources: &'a Resources, mut shares: Vec<Amounts>) -> Self {
        let (mut sum, mut squares) = ([0.0; RESOURCES_MAX], [0.0; RESOURCES_MAX]);
        let count = resources.hosts.len() as f64;
        let mut mean = [0.0; RESOURCES_MAX];
        for &host in &resources.hosts {
            for (mean, share) in mean.iter_mut().zip(&shares[host]) {
                *mean += share / count;
            }
        }
        for &host in &resources.hosts {
            for k in 0..RESOURCES_MAX {
                shares[host][k] -= mean[k];
                sum[k] += shares[host][k];
                squares[k] += shares[host][k] * shares[host][k];
            }
        }
        Self { resources, shares, sum, squares, count }
    }

    /// The weighted deviations added up, times the hosts.
    pub(super) fn score(&self) -> f64 {
        self.score_of(&self.sum, &self.squares)
    }

    fn score_of(&self, sum: &Amounts, squares: &Amounts) -> f64 {
        let mut score = 0.0;
        for k in 0..RESOURCES_MAX {
            let scaled = self.count * squares[k] - sum[k] * sum[k];
            score += self.resources.weights[k] * scaled.max(0.0).sqrt();
        }
        score
    }

    /// The score after `amount` has gone from `from` to `to`.
    pub(super) fn score_after(&self, from: usize, to: usize, amount: &Amounts) -> f64 {
        let (sum, squares) = self.sums_after(from, to, amount);
        self.score_of(&sum, &squares)
    }

    /// Lets `amount` go from `from` to `to`.
    pub(super) fn shift(&mut self, from: usize, to: usize, amount: &Amounts) {
        (self.sum, self.squares) = self.sums_after(from, to, amount);
        let add = |shares: &mut Amounts, inverse: &Amounts, times: f64| {
            for ((share, amount), inverse) in shares.iter_mut().zip(amount).zip(inverse) {
                *share += times * amount * inverse;
            }
        };
        add(&mut self.shares[from], &self.resources.inverse[from], -1.0);
        add(&mut self.shares[to], &self.resources.inverse[to], 1.0);
    }

    #[inline]
    fn sums_after(&self, from: usize, to: usize, amount: &Amounts) -> (Amounts, Amounts) {
        let (mut sum, mut squares) = (self.sum, self.squares);
        let (here, there) = (&self.shares[from], &self.shares[to]);
        let (of_here, of_there) = (&self.resources.inverse[from], &self.resources.inverse[to]);
        for k in 0..RESOURCES_MAX {
            let (less, more) = (amount[k] * of_here[k], amount[k] * of_there[k]);
            sum[k] += more - less;
            squares[k] += more * (2.0 * there[k] + more) - less * (2.0 * here[k] - less);
        }
        (sum, squares)
    }

    /// The standard deviation of each resource's used part over the hosts.
    pub(super) fn deviations(&self) -> Amounts {
        std::array::from_fn(|k| {
            let scaled = self.count * self.squares[k] - self.sum[k] * self.sum[k];
            scaled.max(0.0).sqrt() / self.count.max(1.0)
        })
    }
}
