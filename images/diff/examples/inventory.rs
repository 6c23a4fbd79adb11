//! Writes what an image holds to standard output: `cargo run -p wheeltap-image-diff --example inventory IMAGE`.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let image = std::env::args().nth(1).ok_or("name an image")?;
    let start = Instant::now();
    let step = &mut |step: &str| eprintln!("{:6.2} s  {step}", start.elapsed().as_secs_f64());
    let inventory = wheeltap_image_diff::image::inventory(
        Path::new(&image),
        &image,
        &AtomicBool::new(false),
        step,
    )?;
    eprintln!("{:6.2} s  done", start.elapsed().as_secs_f64());
    for (key, entry) in inventory.files.iter().flatten() {
        println!("{key:?} {entry:?}");
    }
    let mut rest = inventory;
    rest.files = None;
    println!("{rest:#?}");
    Ok(())
}
