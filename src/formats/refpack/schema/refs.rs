//! Follows the references of a schema before it is applied: all must stay within the file or the dialect's own
//! meta-schemas, and none may lead back to itself without consuming data. Weighs the patterns on the way.

use std::collections::HashMap;

use jsonschema::{Draft, ReferencingError, Registry, Retrieve, Uri};
use referencing::Resolver;
use regex_automata::nfa::thompson::NFA;
use serde_json::Value;

use super::super::json::pointer_segment;
use super::super::{FAULT_LIMIT, Fault};
use super::FILE;

/// The largest compiled pattern, in bytes.
pub(super) const REGEX_LIMIT: usize = 4 << 20;
/// The most bytes all compiled patterns may take together.
const PATTERNS_LIMIT: usize = 8 << 20;

/// Opens nothing, whatever is asked for.
pub(super) struct Refuse;

impl Retrieve for Refuse {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err("references outside the file are not followed".into())
    }
}

/// What a failure of the reference machinery means, at a place in the schema.
pub(super) fn fault(place: &str, error: &ReferencingError) -> Fault {
    let path = if place.is_empty() { FILE.to_owned() } else { format!("{FILE}#{place}") };
    match error {
        ReferencingError::Unretrievable { uri, .. } => {
            Fault::new("schema_ref_unresolved", &path, format!("{uri} lies outside the file and is not followed"))
        }
        ReferencingError::UnknownSpecification { .. } | ReferencingError::CircularMetaschema { .. } => {
            Fault::new("schema_invalid", &path, error.to_string())
        }
        _ => Fault::new("schema_ref_unresolved", &path, error.to_string()),
    }
}

/// The address references in the schema start from.
pub(super) fn base(schema: &Value, draft: Draft) -> Result<String, Fault> {
    const OURS: &str = "refpack:///data.schema.json";
    let invalid = |e: ReferencingError| Fault::new("schema_invalid", &path("/$id"), e.to_string());
    let own = jsonschema::uri::from_str(OURS).map_err(invalid)?;
    match draft.create_resource_ref(schema).id() {
        Some(id) => {
            let resolved = jsonschema::uri::resolve_against(&own.borrow(), id).map_err(invalid)?;
            Ok(resolved.as_str().trim_end_matches('#').to_owned())
        }
        None => Ok(OURS.to_owned()),
    }
}

/// What stands where a schema may stand.
#[derive(Clone, Copy)]
enum Kind {
    Schema,
    /// An object whose values are schemas.
    Map,
}

/// One place of the schema still to be looked at.
struct Place<'r> {
    value: &'r Value,
    pointer: String,
    kind: Kind,
    resolver: Resolver<'r>,
}

/// Keywords whose values are plain data.
const DATA: [&str; 6] = ["enum", "const", "default", "example", "examples", "$vocabulary"];
/// Keywords whose values are objects of schemas.
const MAPS: [&str; 6] = ["$defs", "definitions", "properties", "patternProperties", "dependentSchemas", "dependencies"];
/// Keywords whose schemas apply to the very value their own schema applies to.
const IN_PLACE: [&str; 9] =
    ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];
/// Keywords that name a schema elsewhere.
const REFS: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Which schema leads to which others without consuming data, by address.
#[derive(Default)]
struct Graph {
    edges: HashMap<usize, Vec<usize>>,
    pointers: HashMap<usize, String>,
}

/// Follows everything in the schema registered under `base`; answers the size of its compiled patterns in bytes.
///
/// # Errors
/// `schema_ref_unresolved`, `schema_invalid`; at most twenty.
pub(super) fn check(registry: &Registry, base: &str, draft: Draft) -> Result<usize, Vec<Fault>> {
    let first = jsonschema::uri::from_str(base).and_then(|uri| {
        let resolver = registry.resolver(uri);
        resolver.lookup("").map(|found| (found.contents(), found.resolver().clone()))
    });
    let (root, resolver) = first.map_err(|e| vec![fault("", &e)])?;
    let mut open = vec![Place { value: root, pointer: String::new(), kind: Kind::Schema, resolver }];
    let mut graph = Graph::default();
    let mut faults = Vec::new();
    let mut patterns = 0_usize;
    while let Some(place) = open.pop() {
        if faults.len() >= FAULT_LIMIT {
            break;
        }
        if let Err(fault) = look(place, draft, &mut open, &mut graph, &mut patterns) {
            faults.push(fault);
        }
    }
    if faults.is_empty()
        && let Some(pointer) = graph.find_loop()
    {
        let message = "this schema refers to itself without consuming data";
        faults.push(Fault::new("schema_invalid", &format!("{FILE}#{pointer}"), message));
    }
    if faults.is_empty() { Ok(patterns) } else { Err(faults) }
}

fn look<'r>(
    place: Place<'r>,
    draft: Draft,
    open: &mut Vec<Place<'r>>,
    graph: &mut Graph,
    patterns: &mut usize,
) -> Result<(), Fault> {
    let Place { value, pointer, kind, resolver } = place;
    let below = |key: &str| format!("{pointer}/{}", pointer_segment(key));
    let object = match (kind, value) {
        (_, Value::Object(object)) => object,
        (_, Value::Array(list)) => {
            open.extend(list.iter().enumerate().map(|(n, value)| Place {
                value,
                pointer: below(&n.to_string()),
                kind: Kind::Schema,
                resolver: resolver.clone(),
            }));
            return Ok(());
        }
        _ => return Ok(()),
    };
    if let Kind::Map = kind {
        open.extend(object.iter().map(|(key, value)| Place {
            value,
            pointer: below(key),
            kind: Kind::Schema,
            resolver: resolver.clone(),
        }));
        return Ok(());
    }
    let resolver = resolver.in_subresource(draft.create_resource_ref(value)).map_err(|e| fault(&pointer, &e))?;
    let here = address(value);
    for (key, child) in object {
        if let (true, Value::String(reference)) = (REFS.contains(&key.as_str()), child) {
            let found = resolver.lookup(reference).map_err(|e| fault(&below(key), &e))?;
            if is_foreign(found.resolver().base_uri().as_str(), draft) {
                let message = "only meta-schemas of the schema's own dialect may be named";
                return Err(Fault::new("schema_ref_unresolved", &path(&below(key)), message));
            }
            graph.edge(here, address(found.contents()));
        } else if DATA.contains(&key.as_str()) {
            continue;
        }
        if IN_PLACE.contains(&key.as_str()) {
            match child {
                Value::Array(list) => list.iter().for_each(|schema| graph.edge(here, address(schema))),
                Value::Object(map) if MAPS.contains(&key.as_str()) => {
                    map.values().for_each(|schema| graph.edge(here, address(schema)));
                }
                schema => graph.edge(here, address(schema)),
            }
        }
        match (key.as_str(), child) {
            ("pattern", Value::String(pattern)) => weigh(pattern, &below(key), patterns)?,
            ("patternProperties", Value::Object(map)) => {
                for pattern in map.keys() {
                    weigh(pattern, &below(key), patterns)?;
                }
            }
            _ => {}
        }
        if child.is_object() || child.is_array() {
            let kind = if MAPS.contains(&key.as_str()) { Kind::Map } else { Kind::Schema };
            open.push(Place { value: child, pointer: below(key), kind, resolver: resolver.clone() });
        }
    }
    graph.pointers.insert(here, pointer);
    Ok(())
}

fn path(pointer: &str) -> String {
    format!("{FILE}#{pointer}")
}

/// Values stay where they are while the registry lives, so the address tells them apart.
fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

/// Whether an address belongs to the meta-schemas of another dialect.
fn is_foreign(uri: &str, draft: Draft) -> bool {
    let own = match draft {
        Draft::Draft4 => "http://json-schema.org/draft-04/",
        Draft::Draft6 => "http://json-schema.org/draft-06/",
        Draft::Draft7 => "http://json-schema.org/draft-07/",
        Draft::Draft201909 => "https://json-schema.org/draft/2019-09/",
        _ => "https://json-schema.org/draft/2020-12/",
    };
    let meta = uri.starts_with("http://json-schema.org/") || uri.starts_with("https://json-schema.org/");
    meta && !uri.starts_with(own)
}

/// Compiles a pattern the way the validator will, and adds its size.
fn weigh(pattern: &str, pointer: &str, total: &mut usize) -> Result<(), Fault> {
    let refuse = |message: String| Err(Fault::new("schema_invalid", &path(pointer), message));
    let Ok(translated) = jsonschema_regex::to_rust_regex(pattern) else {
        return refuse("this pattern is no regular expression that is supported".to_owned());
    };
    let limit = NFA::config().nfa_size_limit(Some(REGEX_LIMIT));
    match NFA::compiler().configure(limit).build(&translated) {
        Ok(compiled) => *total = total.saturating_add(compiled.memory_usage()),
        Err(e) if e.size_limit().is_some() => return refuse("this pattern is too large".to_owned()),
        Err(e) => return refuse(format!("this pattern is no regular expression that is supported: {e}")),
    }
    if *total > PATTERNS_LIMIT {
        return refuse("all patterns together are too large".to_owned());
    }
    Ok(())
}

impl Graph {
    fn edge(&mut self, from: usize, to: usize) {
        self.edges.entry(from).or_default().push(to);
    }

    /// The pointer of a schema that leads back to itself.
    fn find_loop(&self) -> Option<String> {
        /// On the path that is followed now, or done with.
        enum Seen {
            Open,
            Done,
        }
        let mut seen: HashMap<usize, Seen> = HashMap::new();
        for &start in self.edges.keys() {
            // Each step is a schema and how many of its edges were followed.
            let mut trail = vec![(start, 0)];
            while let Some((at, next)) = trail.pop() {
                match seen.get(&at) {
                    Some(Seen::Done) => continue,
                    Some(Seen::Open) if next == 0 => return Some(self.pointers.get(&at).cloned().unwrap_or_default()),
                    _ => {}
                }
                match self.edges.get(&at).and_then(|edges| edges.get(next)) {
                    Some(&to) => {
                        seen.insert(at, Seen::Open);
                        trail.push((at, next + 1));
                        trail.push((to, 0));
                    }
                    None => {
                        seen.insert(at, Seen::Done);
                    }
                }
            }
        }
        None
    }
}
