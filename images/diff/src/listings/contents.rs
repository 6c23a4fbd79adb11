//! Listings of files.
//!
//! Two formats, both written by `find -printf` (flatcar/scripts, `build_library/reports_util.sh`):
//!
//! ```text
//! _contents.txt      '%M %2n %-7u %-7g %7s %TY-%Tm-%Td %TH:%TM ./%P -> %l\n'   the arrow only of symbolic links
//! _contents_wtd.txt  '%M %D %i %n %s ./%P\n'
//! ```
//! The first has all that the second has but the inode, which isn't needed: the names of a file are all in one listing, so
//! that among `n` names with `n` links and the same size there is one file.

use crate::visible::escaped;
use crate::{Entry, EntryKind};

/// A line of `_contents.txt`: the path from the root, and what is there.
pub(super) fn ls_like(line: &[u8]) -> Option<(String, Entry)> {
    let (mode, rest) = field(line)?;
    let (kind, mode) = parse_mode(mode)?;
    let (links, rest) = field(rest)?;
    let (owner, rest) = field(rest)?;
    let (group, rest) = field(rest)?;
    let (size, rest) = field(rest)?;
    let (date, rest) = field(rest)?;
    let (time, rest) = field(rest)?;
    if date.len() < 8
        || date.iter().filter(|byte| **byte == b'-').count() < 2
        || time.get(2) != Some(&b':')
    {
        return None;
    }
    let rest = trim_start(rest).strip_prefix(b".")?;
    let (path, target) = match (kind, find(rest, b" -> ")) {
        (EntryKind::Symlink, Some(at)) => (&rest[..at], Some(&rest[at + 4..])),
        // Without an arrow it was cut off, or its line was.
        (EntryKind::Symlink, None) => return None,
        _ => (rest, None),
    };
    let entry = Entry {
        owner: Some(escaped(owner)),
        group: Some(escaped(group)),
        target: target.map(escaped),
        ..entry(kind, mode, number(links)?, number(size)?)
    };
    Some((rooted(path)?, entry))
}

/// A line of `_contents_wtd.txt`.
pub(super) fn with_details(line: &[u8]) -> Option<(String, Entry)> {
    let (mode, rest) = field(line)?;
    let (kind, mode) = parse_mode(mode)?;
    let (device, rest) = field(rest)?;
    let (inode, rest) = field(rest)?;
    let (links, rest) = field(rest)?;
    let (size, rest) = field(rest)?;
    number(device)?;
    number(inode)?;
    let path = trim_start(rest).strip_prefix(b".")?;
    Some((rooted(path)?, entry(kind, mode, number(links)?, number(size)?)))
}

fn entry(kind: EntryKind, mode: u16, links: u64, size: u64) -> Entry {
    Entry {
        kind,
        mode,
        owner: None,
        group: None,
        size: (kind == EntryKind::File).then_some(size),
        links: u32::try_from(links).ok(),
        capabilities: None,
        digest: None,
        target: None,
    }
}

fn rooted(path: &[u8]) -> Option<String> {
    path.starts_with(b"/").then(|| escaped(path))
}

/// `-rwsr-xr-x` as `find` and `ls` write it.
fn parse_mode(text: &[u8]) -> Option<(EntryKind, u16)> {
    let [kind, bits @ ..] = text else { return None };
    let kind = match kind {
        b'-' => EntryKind::File,
        b'd' => EntryKind::Directory,
        b'l' => EntryKind::Symlink,
        b'b' => EntryKind::BlockDevice,
        b'c' => EntryKind::CharDevice,
        b'p' => EntryKind::Fifo,
        b's' => EntryKind::Socket,
        _ => return None,
    };
    let bits: &[u8; 9] = bits.try_into().ok()?;
    let mut mode = 0;
    for (place, &[read, write, execute]) in bits.as_chunks::<3>().0.iter().enumerate() {
        let (special, letter) = [(0o4000, b's'), (0o2000, b's'), (0o1000, b't')][place];
        let mut own = match (read, write) {
            (b'r', b'w') => 6,
            (b'r', b'-') => 4,
            (b'-', b'w') => 2,
            (b'-', b'-') => 0,
            _ => return None,
        };
        match execute {
            b'x' => own |= 1,
            b'-' => {}
            c if c == letter => {
                own |= 1;
                mode |= special;
            }
            c if c == letter.to_ascii_uppercase() => mode |= special,
            _ => return None,
        }
        mode |= own << (6 - 3 * place);
    }
    Some((kind, mode))
}

/// The next word, and what follows it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = trim_start(line);
    let end = line.iter().position(|&byte| byte == b' ')?;
    (end > 0).then(|| line.split_at(end))
}

fn trim_start(line: &[u8]) -> &[u8] {
    let spaces = line.iter().take_while(|&&byte| byte == b' ').count();
    &line[spaces..]
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn number(text: &[u8]) -> Option<u64> {
    // A sign would be taken, too.
    if !text.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use test_case::test_case;

    use super::{ls_like, parse_mode, with_details};
    use crate::{Entry, EntryKind};

    #[test]
    fn a_line_of_the_first_format() {
        let text = b"-rwsr-xr-x  1 root    root      51280 2024-09-12 03:20 ./usr/bin/su";
        let (path, entry) = ls_like(text).unwrap();
        assert_eq!(path, "/usr/bin/su");
        assert_eq!((entry.kind, entry.mode, entry.size), (EntryKind::File, 0o4755, Some(51280)));
        assert_eq!(entry.owner.as_deref(), Some("root"));
        assert_eq!((entry.links, entry.digest, entry.capabilities), (Some(1), None, None));
    }

    #[test]
    fn a_symbolic_link() {
        let text = b"lrwxrwxrwx  1 root    root          7 2024-09-12 03:20 ./lib -> usr/lib";
        let (path, entry) = ls_like(text).unwrap();
        assert_eq!((&*path, entry.target.as_deref(), entry.size), ("/lib", Some("usr/lib"), None));
    }

    #[test]
    fn a_line_of_the_second_format() {
        let text = b"-rwxr-xr-x 1793 4711 140 3012345 ./usr/libexec/git-core/git-add";
        let (path, entry) = with_details(text).unwrap();
        assert_eq!(path, "/usr/libexec/git-core/git-add");
        assert_eq!((entry.links, entry.size, entry.owner), (Some(140), Some(3_012_345), None));
    }

    #[test_case(b"drwxr-xr-x 12 root    root       4096 2024-09-12 03:20 ./" => Some("/".to_owned()); "the root")]
    #[test_case(b"drwxr-xr-x 1793 2 12 4096 ./" => Some("/".to_owned()); "the root, with details")]
    #[test_case(b"-rw-r--r--  1 root    root          0 2024-09-12 03:20 ./a b  c" => Some("/a b  c".to_owned()); "spaces")]
    #[test_case(b"-rw-r--r--  1 0       0             0 2024-09-12 03:20 ./a\xff\\" => Some(r"/a\xff\\".to_owned()); "no text")]
    #[test_case(b"-rw-r--r-- 1 2 3 4 usr/bin/su" => None; "no path from the root")]
    #[test_case(b"-rw-r--r-- 1 2 3 x ./usr/bin/su" => None; "a size that is none")]
    #[test_case(b"-rw-r--r-- 1 -2 3 4 ./usr/bin/su" => None; "a negative inode")]
    #[test_case(b"?rw-r--r-- 1 2 3 4 ./usr/bin/su" => None; "no kind")]
    #[test_case(b"-rw-r--r- 1 2 3 4 ./usr/bin/su" => None; "a mode that was cut")]
    #[test_case(b"lrwxrwxrwx  1 root    root          7 2024-09-12 03:20 ./lib" => None; "a link without a target")]
    #[test_case(b"sys-apps/systemd-255.8::coreos-overlay" => None; "a package")]
    #[test_case(b"" => None)]
    fn paths(text: &[u8]) -> Option<String> {
        ls_like(text).or_else(|| with_details(text)).map(|(path, _)| path)
    }

    #[test_case(b"-rwsr-sr-t" => Some(0o7755))]
    #[test_case(b"-rwSr-Sr-T" => Some(0o7644))]
    #[test_case(b"drwxrwxrwt" => Some(0o1777))]
    #[test_case(b"-rwxr-xr-s" => None; "sticky is no s")]
    #[test_case(b"-wrxr-xr-x" => None; "out of order")]
    fn modes(text: &[u8]) -> Option<u16> {
        parse_mode(text).map(|(_, mode)| mode)
    }

    /// As `find -printf %M` writes it.
    fn write_mode(kind: char, mode: u16) -> String {
        let mut out = String::from(kind);
        for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
            let bits = mode >> shift;
            out.push(if bits & 4 == 0 { '-' } else { 'r' });
            out.push(if bits & 2 == 0 { '-' } else { 'w' });
            out.push(match (bits & 1 != 0, mode & special != 0) {
                (false, false) => '-',
                (true, false) => 'x',
                (true, true) => letter,
                (false, true) => letter.to_ascii_uppercase(),
            });
        }
        out
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (ls_like(&bytes), with_details(&bytes));
        }

        #[test]
        fn nearly_good_lines_are_read_without_a_panic(text in "[-ldbcps][-rwxstST]{7,10}( {1,3}[0-9a-z:-]{1,12}){3,8} \\./?[ -~]{0,20}") {
            let _ = (ls_like(text.as_bytes()), with_details(text.as_bytes()));
        }

        #[test]
        fn what_was_written_is_read(
            mode in 0_u16..0o10000, links in 1_u32..500, size in any::<u64>(), owner in "[a-z][a-z0-9_-]{0,12}",
            name in "[^\u{0}\n/\\\\]{1,20}",
        ) {
            let text = format!(
                "{} {links:2} {owner:<7} {owner:<7} {size:7} 2024-09-12 03:20 ./usr/{name}", write_mode('-', mode),
            );
            let expected = Entry {
                owner: Some(owner.clone()), group: Some(owner), ..super::entry(EntryKind::File, mode, links.into(), size)
            };
            prop_assert_eq!(ls_like(text.as_bytes()), Some((format!("/usr/{name}"), expected)));
            let text = format!("{} 1793 12 {links} {size} ./usr/{name}", write_mode('-', mode));
            let expected = super::entry(EntryKind::File, mode, links.into(), size);
            prop_assert_eq!(with_details(text.as_bytes()), Some((format!("/usr/{name}"), expected)));
        }
    }
}
