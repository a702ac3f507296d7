//! The descriptors for reflection, under the names by which other programs know them.

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The files of a descriptor set, each under the path of its package. tonic's sets name them as they were
/// compiled (`error_details.proto`), and a client that has `google/rpc/error_details.proto` of its own would
/// meet each message twice.
pub(super) fn by_package(encoded: &[u8]) -> Result<FileDescriptorSet, prost::DecodeError> {
    let mut set = FileDescriptorSet::decode(encoded)?;
    let renamed: Vec<(String, String)> = set
        .file
        .iter()
        .filter(|file| !file.name().contains('/') && !file.package().is_empty())
        .map(|file| (file.name().to_owned(), format!("{}/{}", file.package().replace('.', "/"), file.name())))
        .collect();
    let names = set.file.iter_mut().flat_map(|file| file.name.iter_mut().chain(&mut file.dependency));
    for name in names {
        if let Some((_, real)) = renamed.iter().find(|(compiled, _)| compiled == name) {
            name.clone_from(real);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_files_have_their_well_known_names() {
        let names = |encoded| {
            let set = by_package(encoded).map(|set| set.file).unwrap_or_default();
            let names: Vec<String> = set.iter().map(|file| file.name().to_owned()).collect();
            let known = |name: &String| names.contains(name) || name.starts_with("google/protobuf/");
            assert!(set.iter().flat_map(|file| &file.dependency).all(known), "{names:?}");
            names
        };
        let rpc = names(tonic_types::pb::FILE_DESCRIPTOR_SET);
        assert!(rpc.iter().any(|name| name == "google/rpc/error_details.proto"), "{rpc:?}");
        assert!(rpc.iter().all(|name| name.starts_with("google/")), "{rpc:?}");
        assert_eq!(names(tonic_health::pb::FILE_DESCRIPTOR_SET), ["grpc/health/v1/health.proto"]);
    }
}
