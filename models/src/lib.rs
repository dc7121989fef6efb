//! Pure prediction: unique-dirty curve, pre-copy replay, cost of a migration
