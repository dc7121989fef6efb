//! Running the program as nobody has set anything up for it.

use std::{path::Path, process::Command};

/// Lets `command` run in `directory`, without settings from the caller's environment.
pub fn free_of_settings(command: &mut Command, directory: &Path) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("WHIMBREL_") || name == "COLUMNS" {
            command.env_remove(&*name);
        }
    }
    command.current_dir(directory);
}
