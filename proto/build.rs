//! Compiles the protos with protox (a protobuf compiler in Rust: no protoc is needed) into `OUT_DIR`.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 4] = [
    "boxoffice/queue/v1/queue.proto",
    "boxoffice/booking/v1/booking.proto",
    "boxoffice/wallet/v1/wallet.proto",
    "boxoffice/checkout/v1/checkout.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=boxoffice");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(FILES)?;
    // Served by reflection as written here; re-encoding through prost would drop comments' source info and
    // custom options.
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure().bytes(".").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
