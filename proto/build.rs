//! Compiles the protos with protox (a protobuf compiler in Rust: no protoc is needed) into `OUT_DIR`, and the
//! rules of who may call what, which are options of the methods, into a table.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage as _,
};

const FILES: [&str; 5] = [
    "boxoffice/queue/v1/queue.proto",
    "boxoffice/booking/v1/booking.proto",
    "boxoffice/wallet/v1/wallet.proto",
    "boxoffice/checkout/v1/checkout.proto",
    "boxoffice/alerts/v1/alerts.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=boxoffice");
    println!("cargo:rerun-if-changed=buf");
    println!("cargo:rerun-if-changed=google");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(FILES)?;
    // Served by reflection as written here; re-encoding through prost would drop comments' source info and
    // custom options.
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;
    fs::write(out.join("rules.rs"), rules(&compiler.descriptor_pool())?)?;

    tonic_prost_build::configure().bytes(".").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The table of rules as Rust: a row a method. A method without a rule, or one whose rule names what its
/// request does not have, is an error of the build.
fn rules(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let (mut table, mut asks) =
        (String::from("/// The rules of all methods.\npub static RULES: &[Rule] = &[\n"), String::new());
    let ours = pool.services().filter(|service| service.full_name().starts_with("boxoffice."));
    for (nth, method) in ours.flat_map(|service| service.methods().collect::<Vec<_>>()).enumerate() {
        let rule = allowed(pool, &method).ok_or_else(|| format!("{}: no access rule", method.full_name()))?;
        let [callers, of_everybody, at_edge] = ["callers", "of_everybody", "at_edge"]
            .map(|field| listed(&rule, field).ok_or_else(|| format!("{}: {field}", method.full_name())));
        let (callers, of_everybody, at_edge) = (callers?, of_everybody?, at_edge?);
        let (user, token) =
            (field(&method.input(), &["user_id"]), field(&method.input(), &["token", "tokens"]));
        let lane = lane(&method.input());
        let names = |caller: &str| callers.iter().chain(&at_edge).any(|one| one == caller);
        if callers.is_empty()
            || user.is_none() && (names("Owner") || names("SelfCharger") || !of_everybody.is_empty())
            || token.is_none() && names("TokenHolder")
        {
            return Err(format!("{}: a rule that cannot be kept", method.full_name()).into());
        }
        writeln!(
            table,
            "    Rule {{ path: \"/{}/{}\", callers: &[{}], of_everybody: &[{}], at_edge: &[{}], user_id: {user:?}, \
             token: {token:?}, priority: {lane:?} }},",
            method.parent_service().full_name(),
            method.name(),
            kinds(&callers),
            kinds(&of_everybody),
            kinds(&at_edge),
        )?;
        asks.push_str(&request(nth, &method.input()));
    }
    table.push_str("];\n");
    Ok(table + &asks)
}

/// `Asks` for the request of the method whose rule is the `nth`.
fn request(nth: usize, message: &MessageDescriptor) -> String {
    let area = message.package_name().split('.').nth(1).unwrap_or_default();
    let user = field(message, &["user_id"]).map_or("None", |_| "Some(&mut self.user_id)");
    let token = ["token", "tokens"].into_iter().find(|name| field(message, &[name]).is_some());
    let token = token.map_or("false".to_owned(), |name| format!("!self.{name}.is_empty()"));
    let lane = lane(message).map_or("None", |_| "Some(&mut self.priority)");
    format!(
        "impl Asks for crate::{area}::{} {{\n    const RULE: &'static Rule = &RULES[{nth}];\n    \
         fn user_id(&mut self) -> Option<&mut String> {{ {user} }}\n    \
         fn has_token(&self) -> bool {{ {token} }}\n    \
         fn priority(&mut self) -> Option<&mut Option<i32>> {{ {lane} }}\n}}\n",
        message.name()
    )
}

fn allowed(pool: &DescriptorPool, method: &MethodDescriptor) -> Option<DynamicMessage> {
    let extension = pool.get_extension_by_name("boxoffice.access.v1.allow")?;
    let options = method.options();
    options.has_extension(&extension).then(|| options.get_extension(&extension).as_message().cloned())?
}

/// The kinds of callers in a field of a rule, as their names are in Rust.
fn listed(rule: &DynamicMessage, field: &str) -> Option<Vec<String>> {
    let kind = rule.descriptor().get_field_by_name(field)?.kind();
    let kinds = kind.as_enum()?;
    let value = rule.get_field_by_name(field)?;
    value.as_list()?.iter().map(|one| Some(in_rust(kinds.get_value(one.as_enum_number()?)?.name()))).collect()
}

/// `CALLER_TOKEN_HOLDER` is `TokenHolder`.
fn in_rust(name: &str) -> String {
    let words = name.split('_').skip(1);
    words.map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}

fn kinds(names: &[String]) -> String {
    names.iter().map(|name| format!("Kind::{name}")).collect::<Vec<_>>().join(", ")
}

/// The number of the optional field `priority`.
fn lane(message: &MessageDescriptor) -> Option<u32> {
    let field = message.get_field_by_name("priority")?;
    matches!(field.kind(), Kind::Int32).then(|| field.number())
}

/// The number of the text field of one of these names.
fn field(message: &MessageDescriptor, names: &[&str]) -> Option<u32> {
    let found = names.iter().find_map(|name| message.get_field_by_name(name))?;
    matches!(found.kind(), Kind::String).then(|| found.number())
}
