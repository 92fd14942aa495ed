//! Where a package stands in an index: text that sorts by name, then as versions do (`repos.md` §12, §13).

use crate::feeds::model::{Package, PackageType};
use crate::formats::versions::{Evr, deb_sort_key};

/// The sort key of a package's version: greater means newer.
pub fn version_key(package: &Package) -> String {
    let key = match package.kind {
        PackageType::Rpm => {
            let epoch = u32::try_from(package.epoch).unwrap_or(u32::MAX);
            Evr::new(epoch, &package.version, &package.release).sort_key()
        }
        PackageType::Deb => deb_sort_key(&package.version),
        PackageType::File => package.version.clone().into_bytes(),
    };
    // As text the bytes keep their order.
    key.into_iter().map(char::from).collect()
}

/// The sort key of a package in an index: rpms by name, architecture, version, debs by name, version, architecture.
/// Equal keys are told apart by digest.
pub fn place_key(package: &Package) -> String {
    let version = version_key(package);
    match package.kind {
        PackageType::Rpm => [&*package.name, &package.arch, &version].join("\0"),
        PackageType::Deb => [&*package.name, &version, &package.arch].join("\0"),
        PackageType::File => package.filename.clone(),
    }
}

/// Packages of which one can be newer than another have the same.
pub fn line_of(package: &Package) -> (String, String) {
    (package.name.clone(), package.arch.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    fn package(kind: PackageType, name: &str, version: &str, arch: &str) -> Package {
        Package {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            release: "1".to_owned(),
            epoch: 0,
            arch: arch.to_owned(),
            size: 1,
            filename: "f".to_owned(),
            source: None,
            known_at: Time(0),
        }
    }

    #[test]
    fn indexes_are_in_order() {
        let rpms = [("a", "1.10", "noarch"), ("a", "1.9~rc", "x86_64"), ("a", "1.9", "x86_64"), ("a-b", "1", "noarch")];
        let debs = [("a", "1.9", "b"), ("a", "1.10", "a"), ("a", "1.10", "b"), ("a", "1:0", "a"), ("a+", "0", "a")];
        for (kind, rows) in [(PackageType::Rpm, &rpms[..]), (PackageType::Deb, &debs[..])] {
            let keys: Vec<_> = rows.iter().map(|(n, v, a)| place_key(&package(kind, n, v, a))).collect();
            assert!(keys.is_sorted(), "{kind:?} {keys:?}");
        }
    }
}
