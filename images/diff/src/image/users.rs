//! The users that can be in a system: `passwd`, `group` and `shadow`.

use std::collections::BTreeMap;

use super::names::ACCOUNTS;
use super::scan::Kept;
use crate::User;

/// Users by name; `None` if there is no `passwd`.
pub(super) fn users(kept: &Kept) -> Option<BTreeMap<String, User>> {
    let file = |name: &str| -> Vec<String> {
        let files =
            ACCOUNTS.iter().filter_map(|directory| kept.get(&format!("{directory}/{name}")));
        files
            .flat_map(|bytes| {
                String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect()
    };
    let (passwd, group, shadow) = (file("passwd"), file("group"), file("shadow"));
    let mut users = BTreeMap::new();
    for line in &passwd {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { continue };
        let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { continue };
        let user = User {
            uid,
            gid,
            home: home.to_owned(),
            shell: shell.to_owned(),
            password: (!shadow.is_empty()).then_some(false),
            groups: [].into(),
        };
        users.entry(name.to_owned()).or_insert(user);
    }
    let mut seen = std::collections::BTreeSet::new();
    for line in &shadow {
        let mut fields = line.split(':');
        let (Some(name), Some(hash)) = (fields.next(), fields.next()) else { continue };
        if let Some(user) = users.get_mut(name).filter(|_| seen.insert(name)) {
            user.password = Some(!hash.is_empty() && !hash.starts_with(['!', '*']));
        }
    }
    for line in &group {
        let mut fields = line.split(':');
        let (Some(group), Some(members)) = (fields.next(), fields.nth(2)) else { continue };
        for member in members.split(',') {
            if let Some(user) = users.get_mut(member) {
                user.groups.insert(group.to_owned());
            }
        }
    }
    (!passwd.is_empty()).then_some(users)
}

#[cfg(test)]
mod tests {
    use super::users;
    use crate::image::scan::Kept;

    #[test]
    fn a_user_has_a_password_only_with_a_hash() {
        let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
        let kept = Kept::from([
            file(
                "/usr/share/baselayout/passwd",
                "root:x:0:0:root:/root:/bin/bash\ncore:x:500:500::/home/core:/bin/sh\n",
            ),
            file("/etc/passwd", "core:x:500:501::/home/core:/bin/bash\n"),
            file("/usr/share/baselayout/shadow", "root:*:1::::::\ncore:$y$x:1::::::\n"),
            file("/usr/share/baselayout/group", "wheel:x:10:root,core\nempty:x:11:\n"),
        ]);
        let users = users(&kept).unwrap();
        let core = &users["core"];
        assert_eq!((core.gid, &*core.shell, core.password), (501, "/bin/bash", Some(true)));
        assert_eq!(core.groups, ["wheel".to_owned()].into());
        assert_eq!(users["root"].password, Some(false));
        assert!(super::users(&Kept::new()).is_none());
    }
}
