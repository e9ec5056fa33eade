//! The manifests for the package managers of Windows.

use serde_json::{Value, json};

use super::TOOLS;
use super::archive::File;

/// The archive that the manifests are about.
pub(crate) struct Package<'a> {
    /// The version of the suite.
    pub(crate) version: &'a str,
    /// The folder in the archive.
    pub(crate) folder: &'a str,
    /// Where the archive is fetched from.
    pub(crate) url: &'a str,
    /// The SHA-256 of the archive, in hexadecimal.
    pub(crate) sha256: &'a str,
}

const SUMMARY: &str =
    "Single-instance locks, process list, safe shutdown and launcher for trading automation";

/// The identifier of the suite among winget's packages.
const IDENTIFIER: &str = "qc.qc";

/// Returns scoop's manifest.
///
/// Source: <https://github.com/ScoopInstaller/Scoop/wiki/App-Manifests>
pub(crate) fn scoop(package: &Package<'_>) -> Value {
    json!({
        "version": package.version,
        "description": SUMMARY,
        "homepage": package.url.rsplit_once('/').map_or(package.url, |(site, _)| site),
        "license": "MIT",
        "architecture": { "64bit": { "url": package.url, "hash": package.sha256 } },
        "extract_dir": package.folder,
        "bin": TOOLS.map(|tool| format!("bin\\{tool}.exe")),
    })
}

/// Returns winget's manifests, at their place in its repository.
///
/// Source: <https://learn.microsoft.com/windows/package-manager/package/manifest>
pub(crate) fn winget(package: &Package<'_>) -> Vec<File> {
    let Package { version, folder, url, sha256 } = package;
    let nested: String = TOOLS
        .map(|tool| {
            format!(
                "- RelativeFilePath: {folder}\\bin\\{tool}.exe\n  PortableCommandAlias: {tool}\n"
            )
        })
        .concat();
    let installer = format!(
        "InstallerType: zip\nNestedInstallerType: portable\nNestedInstallerFiles:\n{nested}\
         Installers:\n- Architecture: x64\n  InstallerUrl: {url}\n  InstallerSha256: {}\n",
        sha256.to_uppercase()
    );
    let locale = format!(
        "PackageLocale: en-US\nPublisher: qc\nPackageName: qc\nLicense: MIT\n\
         ShortDescription: {SUMMARY}\n"
    );
    let files = [
        ("", "version", "DefaultLocale: en-US\n".to_owned()),
        (".installer", "installer", installer),
        (".locale.en-US", "defaultLocale", locale),
    ];
    files
        .map(|(suffix, kind, text)| {
            let path = format!("winget/manifests/q/qc/qc/{version}/{IDENTIFIER}{suffix}.yaml");
            let text = format!(
                "# yaml-language-server: $schema=https://aka.ms/winget-manifest.{kind}.1.6.0.schema.json\n\
                 PackageIdentifier: {IDENTIFIER}\nPackageVersion: {version}\n{text}\
                 ManifestType: {kind}\nManifestVersion: 1.6.0\n"
            );
            File::new(path, text)
        })
        .into()
}
