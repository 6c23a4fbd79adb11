//! Names, files that are images, and files that are not.

use std::sync::atomic::AtomicBool;

use tempfile::TempDir;
use test_case::test_case;

use super::*;
use crate::BuildOptions;

fn no_cache() -> Result<Cache, CacheError> {
    Err(CacheError::NoHome)
}

/// A raw disk as far as anybody looks.
fn gpt() -> Vec<u8> {
    let mut disk = vec![0; 1024];
    disk[512..520].copy_from_slice(b"EFI PART");
    disk
}

fn mbr() -> Vec<u8> {
    let mut disk = vec![0; 512];
    disk[510..].copy_from_slice(b"\x55\xaa");
    disk
}

#[test_case(&gpt(), Format::Raw; "raw by its gpt")]
#[test_case(&mbr(), Format::Raw; "raw by its mbr")]
#[test_case(b"QFI\xfb\0\0\0\x03", Format::Qcow2; "qcow2")]
fn images(contents: &[u8], format: Format) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("disk");
    fs::write(&path, contents).unwrap();
    let image = resolve(path.to_str().unwrap(), no_cache).unwrap();
    assert_eq!(image.format, format);
    assert_eq!(image.digest, digest::of_file(&path).unwrap());
    assert_eq!((image.version, image.profile), (None, None));
}

#[test_case(b"", "empty")]
#[test_case(b"\x1f\x8b\x08\0\0", "gzip")]
#[test_case(b"BZh91AY", "bzip2")]
#[test_case(b"\xfd7zXZ\0\0", "xz")]
#[test_case(b"\x28\xb5\x2f\xfd\0", "zstd")]
#[test_case(b"PK\x03\x04\0", "zip")]
#[test_case(b"KDMV\x01\0", "vmdk")]
#[test_case(b"variant: flatcar\n", "text")]
#[test_case(&[0; 2048], "zeros")]
fn no_images(contents: &[u8], name: &str) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, contents).unwrap();
    let error = resolve(path.to_str().unwrap(), no_cache).unwrap_err().to_string();
    let error = error.replace(directory.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(format!("not_an_image_{name}"), error);
}

#[test]
fn a_directory_is_no_image() {
    let directory = TempDir::new().unwrap();
    let error = resolve(directory.path().to_str().unwrap(), no_cache).unwrap_err();
    assert!(error.to_string().contains("it is a directory"), "{error}");
}

#[test_case("refrence", "unknown")]
#[test_case("no/such/file.img", "missing file")]
#[test_case("flatcar:stable", "published")]
#[test_case("flatcar:stabel", "no channel")]
#[test_case("reference", "not built")]
#[test_case("reference:4000.1.0", "version not built")]
fn names_without_an_image(name: &str, case: &str) {
    let directory = TempDir::new().unwrap();
    let error = resolve(name, || Ok(Cache::at(directory.path()))).unwrap_err();
    insta::assert_snapshot!(format!("name_{}", case.replace(' ', "_")), error);
}

#[test]
fn without_a_home_the_cache_cannot_be_found() {
    let error = resolve("reference", no_cache).unwrap_err();
    assert!(error.to_string().contains("WHEELTAP_CACHE"), "{error}");
}

/// A built image is found by its name and by its path, with what its sidecar says.
#[test]
fn built_images() {
    let directory = TempDir::new().unwrap();
    let cache = Cache::at(directory.path());
    let recipe = Recipe::embedded();
    let path = cache.image_path(&recipe, "4000.1.0");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, gpt()).unwrap();
    let mut about = CachedImage {
        path: path.clone(),
        name: "reference:4000.1.0".into(),
        version: "4000.1.0".into(),
        profile: "reference".into(),
        digest: digest::of_file(&path).unwrap(),
        size: 0,
        mtime_ns: 0,
        recipe: recipe.digest(),
        packages: Vec::new(),
        published: None,
    };
    about.write().unwrap();

    for name in ["reference:4000.1.0", path.to_str().unwrap()] {
        let image = resolve(name, || Ok(cache.clone())).unwrap();
        assert_eq!(image.digest, about.digest);
        assert_eq!(image.version.as_deref(), Some("4000.1.0"));
        assert_eq!(image.profile.as_deref(), Some("reference"));
    }
    let options = BuildOptions::new("4000.1.0");
    let built = cache.build(&options, &AtomicBool::new(false), &mut |_| ()).unwrap();
    assert!(built.cached);
    assert!(cache.list().unwrap()[0] == about);
}
