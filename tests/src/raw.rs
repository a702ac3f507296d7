//! Any unary RPC by its path, request and answer as bytes: for what must hold of every method alike.

use std::fmt::Display;

use boxoffice_proto::DESCRIPTORS;
use prost::{
    Message,
    bytes::{Buf, BufMut, Bytes},
};
use prost_types::FileDescriptorSet;
use tonic::{
    Request, Status,
    body::Body,
    client::{Grpc, GrpcService},
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

#[derive(Clone, Copy, Debug, Default)]
struct Untouched;

impl Codec for Untouched {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Untouched {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Untouched {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Calls `/package.Service/Method`.
///
/// # Errors
/// The call's status.
///
/// # Panics
/// When the path is none.
pub async fn call<C>(channel: C, path: &str, message: &[u8]) -> Result<Bytes, Status>
where
    C: GrpcService<Body, ResponseBody = Body>,
    C::Error: Display,
{
    call_with(channel, path, message, &[]).await
}

/// Calls `/package.Service/Method` with metadata. Of a stream the first message is waited for.
///
/// # Errors
/// The call's status.
///
/// # Panics
/// When the path is none, or a value is no metadata.
pub async fn call_with<C>(
    channel: C,
    path: &str,
    message: &[u8],
    metadata: &[(&'static str, String)],
) -> Result<Bytes, Status>
where
    C: GrpcService<Body, ResponseBody = Body>,
    C::Error: Display,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(format!("{error}")))?;
    let path = path.parse().expect("a path");
    let mut request = Request::new(Bytes::copy_from_slice(message));
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().expect("a value of metadata"));
    }
    let mut answers = grpc.server_streaming(request, path, Untouched).await?.into_inner();
    answers.message().await.map(Option::unwrap_or_default)
}

/// A method of the contract.
#[derive(Clone, Debug)]
pub struct Method {
    /// The path, `/package.Service/Method`.
    pub path: String,
    /// The name without package and service, such as `HoldSeats`.
    pub name: String,
    /// Whether its request has a field `request_id`.
    pub takes_request_id: bool,
}

/// Every method of every service of ours, as the descriptors tell.
///
/// # Panics
/// When the descriptors are broken.
#[must_use]
pub fn methods() -> Vec<Method> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("what protox wrote");
    let mut found = Vec::new();
    for file in set.file.iter().filter(|file| file.package().starts_with("boxoffice.")) {
        let carries = |message: &str| {
            let name = message.rsplit('.').next().unwrap_or_default();
            let message = file
                .message_type
                .iter()
                .find(|one| one.name() == name)
                .expect("a request beside its service");
            message.field.iter().any(|field| field.name() == "request_id")
        };
        for service in &file.service {
            found.extend(service.method.iter().map(|method| Method {
                path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                name: method.name().to_owned(),
                takes_request_id: carries(method.input_type()),
            }));
        }
    }
    found
}
