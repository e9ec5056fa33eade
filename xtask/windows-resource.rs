//! The build script of the tools: gives a Windows program its version, its icon and its
//! manifest.
//!
//! Elsewhere it does nothing, nor for MSVC on another system, where programs can be checked but not
//! linked. Without a resource compiler the program works all the same; `cargo xtask dist` refuses it.

use std::path::Path;
use std::{env, fs, io};

fn main() {
    println!("cargo::rerun-if-env-changed=WINDRES");
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let is_windows = target("OS") == "windows";
    if !is_windows || (target("ENV") == "msvc" && !cfg!(windows)) {
        return;
    }
    if let Err(error) = embed() {
        println!("cargo::warning=the program has no version, no icon and no manifest: {error}");
    }
}

/// A program path or a folder may have more than 260 characters, where the system is set up so. The level
/// keeps Windows from guessing by the program's name that it needs an administrator. Written for
/// Windows 10 and 11, the program is told their real version, and its texts for old functions of Windows
/// are UTF-8.
///
/// Source: <https://learn.microsoft.com/windows/win32/sbscs/application-manifests>
const MANIFEST: &str = r#"<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
<trustInfo xmlns="urn:schemas-microsoft-com:asm.v3"><security><requestedPrivileges>
<requestedExecutionLevel level="asInvoker" uiAccess="false"/>
</requestedPrivileges></security></trustInfo>
<compatibility xmlns="urn:schemas-microsoft-com:compatibility.v1"><application>
<supportedOS Id="{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}"/>
</application></compatibility>
<application xmlns="urn:schemas-microsoft-com:asm.v3"><windowsSettings>
<activeCodePage xmlns="http://schemas.microsoft.com/SMI/2019/WindowsSettings">UTF-8</activeCodePage>
<longPathAware xmlns="http://schemas.microsoft.com/SMI/2016/WindowsSettings">true</longPathAware>
</windowsSettings></application>
</assembly>
"#;

fn embed() -> io::Result<()> {
    let variable = |name: &str| env::var(name).map_err(io::Error::other);
    let name = variable("CARGO_PKG_NAME")?;
    let icon = Path::new(&variable("OUT_DIR")?).join("qc.ico");
    fs::write(&icon, ico(&[16, 32, 48]))?;
    let mut resource = winresource::WindowsResource::new();
    resource
        .set("FileDescription", &variable("CARGO_PKG_DESCRIPTION")?)
        .set("ProductName", "qc")
        .set("InternalName", &name)
        .set("OriginalFilename", &format!("{name}.exe"))
        .set("LegalCopyright", "MIT license")
        .set_manifest(MANIFEST)
        .set_icon(icon.to_str().ok_or_else(|| io::Error::other("the folder's name is no text"))?);
    resource.compile_for(&name)
}

/// Returns an icon file with the picture in these sizes, in pixels.
///
/// Source: <https://learn.microsoft.com/previous-versions/ms997538(v=msdn.10)>
fn ico(sizes: &[u8]) -> Vec<u8> {
    let images: Vec<Vec<u8>> = sizes.iter().map(|size| bitmap(u32::from(*size))).collect();
    let count = u16::try_from(sizes.len()).expect("a few sizes");
    let mut file = [0_u16, 1, count].map(u16::to_le_bytes).concat();
    let mut offset = 6 + 16 * u32::from(count);
    for (size, image) in sizes.iter().zip(&images) {
        let length = u32::try_from(image.len()).expect("a few kilobytes");
        file.extend([*size, *size, 0, 0, 1, 0, 32, 0]);
        file.extend(length.to_le_bytes());
        file.extend(offset.to_le_bytes());
        offset += length;
    }
    file.extend(images.concat());
    file
}

/// Returns a BITMAPINFOHEADER, the pixels from the last row to the first as blue, green, red and
/// opacity, and a mask that is unused beside the opacity.
fn bitmap(size: u32) -> Vec<u8> {
    let mut image = [40, size, 2 * size].map(u32::to_le_bytes).concat();
    image.extend([1, 0, 32, 0]);
    image.extend([0; 24]);
    for row in (0..size).rev() {
        image.extend((0..size).flat_map(|column| pixel(column, row, size)));
    }
    let mask_row = size.div_ceil(32) * 4;
    image.extend((0..mask_row * size).map(|_| 0));
    image
}

/// Returns the mean of 16 points within a pixel.
fn pixel(column: u32, row: u32, size: u32) -> [u8; 4] {
    let at = |pixel: u32, part: u32| f64::from(8 * pixel + 2 * part + 1) / f64::from(8 * size);
    let points = (0..16).filter_map(|part| color(at(column, part % 4), at(row, part / 4)));
    let (mut sum, mut covered) = ([0_u32; 3], 0);
    for color in points {
        covered += 1;
        for (sum, part) in sum.iter_mut().zip(color) {
            *sum += u32::from(part);
        }
    }
    let byte = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
    let [red, green, blue] = sum.map(|sum| byte(sum / covered.max(1)));
    [blue, green, red, byte(covered * 255 / 16)]
}

/// The picture, in a square from 0 to 1: a closed padlock on a round tile.
fn color(x: f64, y: f64) -> Option<[u8; 3]> {
    let inside = |left: f64, top: f64, right: f64, bottom: f64, round: f64| {
        let beyond =
            |at: f64, low: f64, high: f64| (low + round - at).max(at - high + round).max(0.0);
        beyond(x, left, right).hypot(beyond(y, top, bottom)) <= round
    };
    let shackle = inside(0.30, 0.16, 0.70, 0.60, 0.20) && !inside(0.39, 0.25, 0.61, 0.60, 0.11);
    let keyhole = inside(0.45, 0.56, 0.55, 0.72, 0.05);
    let body = inside(0.22, 0.44, 0.78, 0.84, 0.07);
    match (inside(0.0, 0.0, 1.0, 1.0, 0.2), body && !keyhole, shackle) {
        (false, ..) => None,
        (_, true, _) => Some([0xf4, 0xc5, 0x42]),
        (_, _, true) if !body => Some([0xd9, 0xe2, 0xec]),
        _ => Some([0x12, 0x2c, 0x44]),
    }
}
