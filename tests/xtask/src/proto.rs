//! Generates `scheduler/proto/src/generated/` from the .proto files, in pure Rust.
//!
//! Two files: the Rust code of the package and the encoded descriptor set for reflection. Never
//! writes anywhere else, and writes only what differs.

use std::{fs, path::Path};

use prost::Message;

use crate::TaskError;

const PACKAGE: &str = "scheduler/proto";
const SOURCE: &str = "whimbrel/v1/whimbrel.proto";
const CODE: &str = "whimbrel.v1.rs";
const DESCRIPTORS: &str = "whimbrel.v1.bin";

/// One generated file: its name and its content.
type Generated = (&'static str, Vec<u8>);

/// Writes the generated files that differ; says which.
///
/// # Errors
/// [`TaskError`] when the .proto does not compile or a file cannot be written.
pub fn write(root: &Path) -> Result<String, TaskError> {
    let target = root.join(PACKAGE).join("src/generated");
    fs::create_dir_all(&target).map_err(|e| TaskError::file(&target, e))?;
    let mut report = String::new();
    for (name, content) in generate(root)? {
        let path = target.join(name);
        if fs::read(&path).ok().as_deref() != Some(&content) {
            fs::write(&path, &content).map_err(|e| TaskError::file(&path, e))?;
            report = format!("{report}wrote {PACKAGE}/src/generated/{name}\n");
        }
    }
    Ok(report)
}

/// Compares the committed files with what the .proto gives.
///
/// # Errors
/// [`TaskError::Outdated`] naming the first file that differs.
pub fn check(root: &Path) -> Result<String, TaskError> {
    for (name, content) in generate(root)? {
        let path = root.join(PACKAGE).join("src/generated").join(name);
        let committed = fs::read(&path).map_err(|e| TaskError::file(&path, e))?;
        if committed != content {
            return Err(TaskError::Outdated { path });
        }
    }
    Ok(String::new())
}

fn generate(root: &Path) -> Result<[Generated; 2], TaskError> {
    let message = |message: String| TaskError::Proto { message };
    let include = root.join(PACKAGE).join("proto");
    let mut compiler = protox::Compiler::new([&include]).map_err(|e| message(format!("{e:?}")))?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file(SOURCE).map_err(|e| message(format!("{e:?}")))?;
    let mut descriptors = compiler.file_descriptor_set();
    let code = code(descriptors.clone())?;
    // Comments become docs of the code; reflection has no use for them.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    Ok([(CODE, code), (DESCRIPTORS, descriptors.encode_to_vec())])
}

fn code(descriptors: prost_types::FileDescriptorSet) -> Result<Vec<u8>, TaskError> {
    let scratch = tempfile::tempdir().map_err(|e| TaskError::file(Path::new("tempdir"), e))?;
    tonic_prost_build::configure()
        .out_dir(scratch.path())
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)
        .map_err(|e| TaskError::Proto { message: e.to_string() })?;
    let path = scratch.path().join(CODE);
    fs::read(&path).map_err(|e| TaskError::file(&path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace_root;

    /// A copy of the .proto and its generated files under a root of its own.
    fn copy() -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        let to = copy.path().join(PACKAGE);
        let from = workspace_root().join(PACKAGE);
        fs::create_dir_all(to.join("proto/whimbrel/v1")).unwrap();
        fs::copy(from.join("proto").join(SOURCE), to.join("proto").join(SOURCE)).unwrap();
        write(copy.path()).unwrap();
        copy
    }

    #[test]
    fn committed_code_is_what_the_proto_gives() {
        check(&workspace_root()).unwrap();
    }

    #[test]
    fn a_changed_proto_is_noticed_and_a_faulty_one_named() {
        let copy = copy();
        let path = copy.path().join(PACKAGE).join("proto").join(SOURCE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("// Its moves in the order", "// The moves in the order"))
            .unwrap();
        assert!(matches!(check(copy.path()), Err(TaskError::Outdated { .. })));
        assert!(write(copy.path()).unwrap().contains(CODE));
        check(copy.path()).unwrap();
        fs::write(&path, text.replace("uint32 at_once_total", "uint32 at_once at_once")).unwrap();
        assert!(check(copy.path()).unwrap_err().to_string().contains("whimbrel.proto"));
    }
}
