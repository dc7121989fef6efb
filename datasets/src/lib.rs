//! Telemetry and migration records as Parquet: schema, writer, reader, checks
