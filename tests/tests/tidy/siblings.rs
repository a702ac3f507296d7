//! The modules of one directory depend on each other in one direction. Where two need each other, neither can
//! be read, tested or moved by itself: what both need belongs in a third.
//!
//! A dependency is any path from one module into a sibling, in a `use` or inline: `super::x`,
//! `crate::layer::x`, or a name that the parent imports or re-exports from the sibling. A parent itself is no
//! sibling: what it defines, all its children may use.

use std::collections::{BTreeMap, BTreeSet};

use crate::{SERVICES, none, rust};

/// The crates, other than the services, whose modules are looked at.
const CRATES: [&str; 3] = ["crates/chassis", "crates/audit", "crates/boxoffice"];

#[test]
fn siblings_do_not_depend_on_each_other_in_a_circle() {
    let sources = rust();
    let mut found = Vec::new();
    for root in SERVICES.into_iter().chain(CRATES) {
        found.extend(Modules::read(&format!("{root}/src/"), &sources).circles());
    }
    none(found);
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let source = |name: &str, text: &str| (format!("edge/src/{name}"), format!("//! It.\n{text}"));
    let circles = |sources: &[(String, String)]| Modules::read("edge/src/", sources).circles();
    let b = source("app/b.rs", "pub struct B;\nfn f() { super::a::g() }\n");
    let parent = source("app/mod.rs", "mod a;\nmod b;\npub(crate) use self::b::B;\n");
    for written in [
        "use super::b;",
        "use super::{c::{self, D}, b::{self, B as Other}};",
        "use crate::{app::b::B, domain};",
        "fn g() { let b = crate::app::b::B; }",
        "use super::B;",
        "impl A {\n#[cfg(test)]\nfn f() {}\n}\nuse super::b::*;",
    ] {
        let found = circles(&[parent.clone(), source("app/a.rs", written), b.clone()]);
        assert_eq!(found.len(), 1, "{written}: {found:?}");
        assert!(found[0].starts_with("edge/src/app: a, b ("), "{found:?}");
        let inside = source("app/a/deep/inner.rs", &written.replace("super::", "super::super::super::"));
        assert_eq!(circles(&[parent.clone(), inside, b.clone()]).len(), 1, "{written}, further down");
    }
    for none in [
        "// use super::b;",
        "use super::super::b;",
        "use super::c::b;",
        "use crate::b;",
        "#[cfg(test)]\nuse super::b;",
        "#[cfg(test)]\nmod tests {\nuse super::super::b;\n}",
    ] {
        let found = circles(&[parent.clone(), source("app/a.rs", none), b.clone()]);
        assert!(found.is_empty(), "{none}: {found:?}");
    }
    let three = [("a", "b"), ("b", "c"), ("c", "a")];
    let three = three.map(|(name, next)| source(&format!("{name}.rs"), &format!("use super::{next};")));
    assert!(circles(&three)[0].starts_with("edge/src: a, b, c ("));
}

/// A module's address below the root of its crate; the root itself is empty.
type Address = Vec<String>;

/// The modules of a crate.
struct Modules {
    /// Where the crate's sources are, with a slash at the end.
    root: String,
    /// Each module's code without comments and tests.
    code: BTreeMap<Address, String>,
    /// All modules, those included that are a directory alone.
    all: BTreeSet<Address>,
}

impl Modules {
    fn read(root: &str, sources: &[(String, String)]) -> Self {
        let (mut code, mut all) = (BTreeMap::new(), BTreeSet::new());
        for (name, text) in sources {
            let Some(below) = name.strip_prefix(root).and_then(|below| below.strip_suffix(".rs")) else {
                continue;
            };
            let is_test = |part: &str| part.ends_with("tests") || matches!(part, "fakes" | "conformance");
            if below.split('/').any(is_test) {
                continue;
            }
            let mut address: Address = below.split('/').map(str::to_owned).collect();
            address.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
            all.extend((1..=address.len()).map(|end| address[..end].to_vec()));
            let written: &mut String = code.entry(address).or_default();
            written.push_str(&production(text));
        }
        Self { root: root.to_owned(), code, all }
    }

    /// A path as it is written in a module, from the root of the crate: `None` when it leads out of it.
    fn resolve(&self, module: &Address, path: &[String]) -> Option<Address> {
        let (first, rest) = path.split_first()?;
        let mut at = module.clone();
        match first.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()?),
            "self" => {}
            child => at.push(child.to_owned()),
        }
        for part in rest {
            if part == "super" {
                at.pop()?;
            } else {
                at.push(part.clone());
            }
        }
        Some(at)
    }

    /// Where a name leads that a module on the way only imports from a child.
    fn followed(&self, address: Address, imports: &BTreeMap<Address, Address>) -> Address {
        let item = (1..=address.len()).find(|end| !self.all.contains(&address[..*end]));
        match item.and_then(|end| Some((imports.get(&address[..end])?, end))) {
            Some((origin, end)) => [origin, &address[end..]].concat(),
            None => address,
        }
    }

    /// What each parent imports from its children, by the address under which its children see it.
    fn imports(&self) -> BTreeMap<Address, Address> {
        let mut imports = BTreeMap::new();
        for (module, code) in &self.code {
            for path in paths(code) {
                let Some(origin) = self.resolve(module, &path) else { continue };
                let Some((name, from)) = origin.split_last() else { continue };
                if from.len() <= module.len() || !from.starts_with(module) || !self.all.contains(from) {
                    continue;
                }
                let names = if name == "*" { self.defined(from) } else { vec![name.clone()] };
                for name in names {
                    let seen = [module.as_slice(), std::slice::from_ref(&name)].concat();
                    imports.entry(seen).or_insert_with(|| [from, &[name]].concat());
                }
            }
        }
        imports
    }

    /// The names that a module defines.
    fn defined(&self, module: &[String]) -> Vec<String> {
        let words = ["struct", "enum", "trait", "type", "fn", "const", "static"];
        let code = self.code.get(module).map_or("", String::as_str);
        let pairs = code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        let pairs: Vec<&str> = pairs.collect();
        let named = pairs.windows(2).filter(|pair| words.contains(&pair[0]));
        named.map(|pair| pair[1].to_owned()).collect()
    }

    /// In each directory, which module needs which sibling, and the module below it that says so.
    fn needs(&self) -> BTreeMap<Address, BTreeMap<(String, String), Address>> {
        let (imports, mut needs) = (self.imports(), BTreeMap::<_, BTreeMap<_, _>>::new());
        for (module, code) in &self.code {
            for path in paths(code) {
                let Some(target) = self.resolve(module, &path) else { continue };
                let target = self.followed(target, &imports);
                let common = module.iter().zip(&target).take_while(|(a, b)| a == b).count();
                if common < module.len() && common < target.len() && self.all.contains(&target[..=common]) {
                    let pair = (module[common].clone(), target[common].clone());
                    needs.entry(module[..common].to_vec()).or_default().entry(pair).or_insert(module.clone());
                }
            }
        }
        needs
    }

    /// Each circle: its directory, its modules, and which of them needs which, where.
    fn circles(&self) -> Vec<String> {
        let mut circles = Vec::new();
        for (directory, needs) in self.needs() {
            let mut left: BTreeSet<&String> = needs.keys().map(|(from, _)| from).collect();
            while let Some(from) = left.pop_first() {
                let circle: BTreeSet<&String> = reached(from, &needs)
                    .into_iter()
                    .filter(|to| reached(to, &needs).contains(from))
                    .collect();
                left.retain(|module| !circle.contains(module));
                if circle.len() > 1 {
                    let inside = |(a, b): &(String, String)| circle.contains(a) && circle.contains(b);
                    let edges = needs.iter().filter(|(pair, _)| inside(pair));
                    let edges = edges.map(|((a, b), at)| format!("{a} needs {b} in {}", at.join("/")));
                    let names = circle.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                    let place = [self.root.trim_end_matches('/'), &directory.join("/")].join("/");
                    let edges = edges.collect::<Vec<_>>().join("; ");
                    circles.push(format!("{}: {names} ({edges})", place.trim_end_matches('/')));
                }
            }
        }
        circles
    }
}

/// The siblings that a module needs, over as many others as it takes.
fn reached<'a>(from: &'a String, needs: &'a BTreeMap<(String, String), Address>) -> BTreeSet<&'a String> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        let next = needs.keys().filter(|(a, _)| a == at).map(|(_, b)| b);
        open.extend(next.filter(|to| reached.insert(*to)));
    }
    reached
}

/// Code without comments, and without the tests in it.
fn production(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            code.push_str(line);
            code.push('\n');
            continue;
        }
        let item = lines.by_ref().find(|line| !line.starts_with("#[")).unwrap_or_default();
        if item.starts_with("mod ") && item.ends_with('{') {
            break;
        }
    }
    code
}

/// Every path of a module's code that begins at a known place, with the branches of a `use` told one by one.
fn paths(code: &str) -> Vec<Address> {
    let words: Vec<&str> = words(code);
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        let begins = matches!(*word, "crate" | "super" | "self") && words.get(at + 1) == Some(&"::");
        if begins && before != "::" || before == "use" {
            branch(&words, &mut at.clone(), &[], &mut found);
        }
    }
    found
}

/// Reads one branch of a path from here on.
fn branch(words: &[&str], at: &mut usize, before: &[String], found: &mut Vec<Address>) {
    let mut path = before.to_vec();
    while let Some(word) = words.get(*at) {
        *at += 1;
        if *word == "{" {
            while words.get(*at).is_some_and(|word| *word != "}") {
                branch(words, at, &path, found);
                while words.get(*at).is_some_and(|word| !matches!(*word, "," | "}")) {
                    *at += 1;
                }
                *at += usize::from(words.get(*at) == Some(&","));
            }
            *at += 1;
            return;
        }
        if *word != "self" || path.is_empty() {
            path.push((*word).to_owned());
        }
        if words.get(*at) != Some(&"::") {
            break;
        }
        *at += 1;
    }
    found.push(path);
}

/// Names and what stands between them.
fn words(code: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    words
}
