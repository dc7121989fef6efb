//! The order in which the reference visits the guests of a host.
//!
//! `CloudSim` 3.0.3 keeps them in a `java.util.HashMap` by a name, so its sums are added in the order
//! of the table's buckets. That order decides the last bits of a sum, and with them now and then
//! whether a host is full: who wants the reference's figures to the last digit has to follow it.
//! Never here: an order that anything but a sum depends on.

/// Identifies the owner of all guests in their names, as the reference numbers its entities.
const OWNER: u32 = 2;

/// Buckets that a table begins with.
const CAPACITY_MIN: u32 = 16;

/// Hash of a guest's name, by the formula of `String.hashCode` with `HashMap`'s spreading.
pub(super) fn hash_of(guest: usize) -> u32 {
    let name = format!("{OWNER}-{guest}");
    let hash =
        name.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    hash ^ (hash >> 16)
}

/// Size of a host's table. It grows with the number of guests and never shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    capacity: u32,
}

impl Default for Table {
    fn default() -> Self {
        Self { capacity: CAPACITY_MIN }
    }
}

impl Table {
    /// Makes room for `count` guests at a time: a table is at most three quarters full.
    pub(super) fn hold(&mut self, count: usize) {
        while count as u64 * 4 > u64::from(self.capacity) * 3 {
            self.capacity = self.capacity.saturating_mul(2);
        }
    }

    /// Puts `guests`, which are in the order of their arrival, in the table's order.
    pub(super) fn sort(self, guests: &mut [u32], hashes: &[u32]) {
        let mask = self.capacity - 1;
        let bucket = |guest: &u32| hashes.get(*guest as usize).copied().unwrap_or(0) & mask;
        guests.sort_by_key(bucket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        // "2-0".hashCode() is 50 * 961 + 45 * 31 + 48.
        assert_eq!(hash_of(0), 49_493);
        // A name whose hash has bits above the sixteenth, by the same formula without wrapping.
        let plain = "2-1051".bytes().fold(0_u64, |h, b| (h * 31 + u64::from(b)) % (1 << 32));
        assert_eq!(u64::from(hash_of(1051)), plain ^ (plain >> 16));
    }

    #[test]
    fn a_table_grows_at_three_quarters_and_stays_large() {
        let mut table = Table::default();
        table.hold(12);
        assert_eq!(table, Table::default());
        table.hold(13);
        assert_eq!(table.capacity, 32);
        table.hold(1);
        assert_eq!(table.capacity, 32);
    }

    #[test]
    fn guests_of_a_bucket_stay_in_the_order_of_their_arrival() {
        let hashes = [16, 1, 0, 17];
        let mut guests = [0, 1, 2, 3];
        Table::default().sort(&mut guests, &hashes);
        assert_eq!(guests, [0, 2, 1, 3]);
        Table { capacity: 32 }.sort(&mut guests, &hashes);
        assert_eq!(guests, [2, 1, 0, 3]);
    }
}
