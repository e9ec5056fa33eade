//! The bill of materials: which crates are in the programs, in the words of CycloneDX 1.5.
//!
//! Source: <https://cyclonedx.org/docs/1.5/json/>. Neither time nor serial number, which would be
//! other ones in each build.

use serde_json::{Value, json};

use super::crates::Crate;

/// Returns the document about the programs that were made of `crates`.
pub(crate) fn cyclonedx(version: &str, crates: &[Crate]) -> Value {
    let suite = json!({
        "type": "application", "bom-ref": "qc", "name": "qc", "version": version,
        "licenses": [{ "expression": "MIT" }],
    });
    let tools: Vec<String> = super::TOOLS
        .iter()
        .filter_map(|tool| crates.iter().find(|one| one.name == *tool))
        .map(purl)
        .collect();
    let mut dependencies = vec![json!({ "ref": "qc", "dependsOn": tools })];
    dependencies.extend(crates.iter().map(|one| {
        let uses = crates.iter().filter(|other| one.uses.contains(&other.id));
        json!({ "ref": purl(one), "dependsOn": uses.map(purl).collect::<Vec<_>>() })
    }));
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": suite },
        "components": crates.iter().map(component).collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

fn component(one: &Crate) -> Value {
    let kind = if super::TOOLS.contains(&one.name.as_str()) { "application" } else { "library" };
    let mut component = json!({
        "type": kind, "bom-ref": purl(one), "name": one.name, "version": one.version,
        "licenses": [{ "expression": one.license }], "purl": purl(one),
    });
    if let Some(description) = &one.description {
        component["description"] = json!(description.trim());
    }
    if let Some(checksum) = &one.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &one.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// Returns the package's address in the words of <https://github.com/package-url/purl-spec>.
fn purl(one: &Crate) -> String {
    format!("pkg:cargo/{}@{}", one.name, one.version.replace('+', "%2B"))
}
