//! The functions' code: packages on disk, known by the hash that Lambda reports.
//!
//! A package is read only when it is uploaded, so that the operator's memory does not hold four of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use sumu_contract::Function;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::stack::Invalid;
use crate::sumu_stack::{Architecture, S3Package};

/// A function's package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Where the zip file is.
    pub place: Place,
    /// Base64 of its SHA-256, as Lambda's `CodeSha256`.
    pub code_sha256: String,
}

/// Where a package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On disk, beside the operator.
    File(PathBuf),
    /// In a bucket of the user's, from where Lambda takes it.
    Object {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
    },
}

/// The packages that came with the operator.
#[derive(Clone, Debug, Default)]
pub struct Packages(BTreeMap<(&'static str, Function), Package>);

const ARCHITECTURES: [Architecture; 2] = [Architecture::X86_64, Architecture::Arm64];

impl Architecture {
    /// Lambda's word for it, also the name of the packages' folder.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

impl Packages {
    /// Looks for `<folder>/<architecture>/<function>.zip`.
    pub fn load(folder: &Path) -> io::Result<Self> {
        let mut packages = BTreeMap::new();
        for architecture in ARCHITECTURES {
            for function in Function::ALL {
                let path = folder.join(architecture.as_str()).join(format!("{function}.zip"));
                if path.exists() {
                    let code_sha256 = code_sha256(&path)?;
                    packages
                        .insert((architecture.as_str(), function), Package { place: Place::File(path), code_sha256 });
                }
            }
        }
        Ok(Self(packages))
    }

    /// Packages made by hand, for tests of what uses them.
    pub fn of(packages: impl IntoIterator<Item = (Architecture, Function, Package)>) -> Self {
        Self(
            packages
                .into_iter()
                .map(|(architecture, function, package)| ((architecture.as_str(), function), package))
                .collect(),
        )
    }

    /// Stand-ins for packages that are not at hand. They cannot be uploaded.
    #[must_use]
    pub fn unknown() -> Self {
        let each = ARCHITECTURES.into_iter().flat_map(|of| Function::ALL.map(|function| (of, function)));
        Self::of(each.map(|(of, function)| {
            (of, function, Package { place: Place::File(PathBuf::new()), code_sha256: String::new() })
        }))
    }

    /// Whether there is no package at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The package of a function.
    ///
    /// # Errors
    /// When the operator came without it.
    pub fn find(&self, architecture: Architecture, function: Function) -> Result<Package, Invalid> {
        let architecture = architecture.as_str();
        self.0.get(&(architecture, function)).cloned().ok_or_else(|| {
            let mut others: Vec<_> = self.0.keys().map(|(architecture, _)| *architecture).collect();
            others.dedup();
            Invalid(format!(
                "spec.functions.architecture: this operator brings no {function} package for {architecture}; it has packages for {}",
                if others.is_empty() { "no architecture at all (see --functions-dir)".to_owned() } else { others.join(", ") }
            ))
        })
    }
}

impl Package {
    /// The package of a function in a user's bucket.
    #[must_use]
    pub fn in_bucket(package: &S3Package, function: Function) -> Self {
        let place = Place::Object { bucket: package.bucket.clone(), key: format!("{}{function}.zip", package.prefix) };
        Self { place, code_sha256: package.code_sha256.of(function).to_owned() }
    }

    /// The bytes of a package on disk, as Lambda is to get them.
    ///
    /// # Errors
    /// When they cannot be read, or are no longer those that the hash was made of: Lambda would report another hash for
    /// them, and the function would be uploaded again and again.
    pub async fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = tokio::fs::read(path).await?;
        if STANDARD.encode(Sha256::digest(&bytes)) == self.code_sha256 {
            return Ok(bytes);
        }
        Err(io::Error::other("it is another one than when the operator started; restart the operator to use it"))
    }
}

/// The hashes of the packages that are in a folder, as `spec.functions.package.s3.codeSha256` takes them.
///
/// # Errors
/// When one of them is not there or cannot be read.
pub fn hashes(folder: &Path, architecture: Architecture) -> io::Result<String> {
    let packages = Packages::load(folder)?;
    let mut lines = "codeSha256:\n".to_owned();
    for function in Function::ALL {
        let package = packages.find(architecture, function).map_err(io::Error::other)?;
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "  {function}: {}", package.code_sha256);
    }
    Ok(lines)
}

/// Packs each function's executable from `from` as `<to>/<architecture>/<function>.zip`.
///
/// The same executable always gives the same bytes, so that an unchanged function is never uploaded again.
pub fn package(from: &Path, to: &Path, architecture: Architecture) -> io::Result<()> {
    let folder = to.join(architecture.as_str());
    std::fs::create_dir_all(&folder)?;
    for function in Function::ALL {
        let executable = from.join(function.as_str());
        let bootstrap = std::fs::read(&executable)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", executable.display())))?;
        let path = folder.join(format!("{function}.zip"));
        // Renamed when complete: an operator that starts meanwhile never sees half a package.
        let unfinished = folder.join(format!(".{function}.{}", std::process::id()));
        zip_bootstrap(&bootstrap, File::create(&unfinished)?)?;
        std::fs::rename(&unfinished, &path)?;
    }
    Ok(())
}

fn zip_bootstrap(bootstrap: &[u8], file: File) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    let mut zip = ZipWriter::new(file);
    // The name that the runtime provided.al2023 starts.
    zip.start_file("bootstrap", options).map_err(io::Error::other)?;
    zip.write_all(bootstrap)?;
    zip.finish().map_err(io::Error::other)?.sync_all()
}

fn code_sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(STANDARD.encode(hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_executables_give_the_same_packages() {
        let folder = tempfile::tempdir().unwrap();
        for function in Function::ALL {
            std::fs::write(folder.path().join(function.as_str()), format!("program {function}")).unwrap();
        }
        let hashes = |to: &str| {
            let to = folder.path().join(to);
            package(folder.path(), &to, Architecture::Arm64).unwrap();
            let packages = Packages::load(&to).unwrap();
            Function::ALL.map(|function| packages.find(Architecture::Arm64, function).unwrap().code_sha256)
        };
        let (first, second) = (hashes("a"), hashes("b"));
        assert_eq!(first, second);
        assert_ne!(first[0], first[1]);
    }

    #[tokio::test]
    async fn a_package_that_was_replaced_under_the_operator_is_not_uploaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x86_64/routes.zip");
        std::fs::create_dir(folder.path().join("x86_64")).unwrap();
        std::fs::write(&path, "one").unwrap();
        let package = Packages::load(folder.path()).unwrap().find(Architecture::X86_64, Function::Routes).unwrap();
        assert_eq!(package.read(&path).await.unwrap(), b"one");
        std::fs::write(&path, "another").unwrap();
        let error = package.read(&path).await.unwrap_err();
        assert!(error.to_string().contains("restart the operator"), "{error}");
    }

    #[test]
    fn a_missing_architecture_is_told_with_those_that_exist() {
        let package = Package { place: Place::File("x".into()), code_sha256: "y".into() };
        let packages = Packages::of([(Architecture::X86_64, Function::Routes, package)]);
        let error = packages.find(Architecture::Arm64, Function::Routes).unwrap_err();
        assert!(error.0.contains("no routes package for arm64; it has packages for x86_64"), "{error}");
    }
}
