//! Where packages lie in published trees. A digest in the path keeps two builds of one version apart (`repos.md` §11.3).

use crate::feeds::model::{Member, Package, PackageType};
use crate::feeds::rules;
use crate::ids::Digest;

/// The default component of an apt repo.
pub const COMPONENT: &str = "main";

/// The first 12 digits of a digest.
pub fn short(digest: &Digest) -> String {
    digest.to_hex().chars().take(12).collect()
}

/// The file name a package has in a yum or apt tree: the one it came under when any client can fetch that, else the
/// canonical one.
pub fn file_name(package: &Package) -> String {
    let ending = match package.kind {
        PackageType::Rpm => ".rpm",
        PackageType::Deb => ".deb",
        PackageType::File => "",
    };
    match rules::is_plain_file_name(&package.filename) && package.filename.ends_with(ending) {
        true => package.filename.clone(),
        false => rules::plain_file_name(&canonical(package)),
    }
}

/// The file name a package gives itself; a plain file's is its name.
pub fn canonical(package: &Package) -> String {
    match package.kind {
        PackageType::Rpm => format!("{}-{}-{}.{}.rpm", package.name, package.version, package.release, package.arch),
        PackageType::Deb => {
            let version = package.version.split_once(':').map_or(&*package.version, |(_, rest)| rest);
            format!("{}_{version}_{}.deb", package.name, package.arch)
        }
        PackageType::File => package.name.clone(),
    }
}

/// Where an rpm lies.
pub fn yum(digest: &Digest, package: &Package) -> String {
    let name = file_name(package);
    let first = name.chars().next().unwrap_or('_').to_ascii_lowercase();
    format!("Packages/{first}/{}/{name}", short(digest))
}

/// Where a deb lies.
pub fn apt(digest: &Digest, package: &Package, component: &str) -> String {
    let source = rules::plain_file_name(package.source.as_deref().unwrap_or(&package.name));
    let length = if source.starts_with("lib") { 4 } else { 1 };
    let prefix: String = source.chars().take(length).collect();
    format!("pool/{component}/{prefix}/{source}/{}/{}", short(digest), file_name(package))
}

/// The component of a member of an apt repo.
pub fn component<'a>(member: &'a Member, own: &'a str) -> &'a str {
    let own = if own.is_empty() { COMPONENT } else { own };
    member.component.as_deref().unwrap_or(own)
}
