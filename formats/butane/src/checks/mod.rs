//! What Ignition checks in its configs: parents first, in the order of the fields.

mod disks;
mod resources;
mod storage;
mod systemd;
mod unit_text;
mod urls;

use crate::{
    path::Path,
    report::Report,
    schema::{Spec, TypeName},
    tree::Object,
};

pub(crate) use storage::clean;

/// A verdict on one value: why it is wrong.
type Verdict = Result<(), &'static str>;

pub(crate) fn check(config: &Object, spec: Spec) -> Report {
    let mut report = Report::default();
    config.visit(&Path::default(), &mut |object, path| {
        check_object(object, spec, path, &mut report);
    });
    report
}

fn check_object(object: &Object, spec: Spec, path: &Path, report: &mut Report) {
    match object.ty.name {
        TypeName::Config => systemd::check_conflicts(object, path, report),
        TypeName::IgnitionConfig => {
            resources::check_required(object, "merge", spec, path, report);
        }
        TypeName::Tls => {
            resources::check_required(object, "certificate_authorities", spec, path, report);
        }
        TypeName::Proxy => resources::check_proxy(object, path, report),
        TypeName::Reference | TypeName::Resource => resources::check(object, spec, path, report),
        TypeName::Verification => resources::check_hash(object, spec, path, report),
        TypeName::Header => resources::check_header(object, path, report),
        TypeName::Storage => storage::check(object, spec, path, report),
        TypeName::Directory | TypeName::File | TypeName::Link => {
            storage::check_node(object, path, report);
        }
        TypeName::Owner => {
            if object.get("id").is_some() && object.filled("name").is_some() {
                report.error(path.clone(), "cannot set both id and name");
            }
        }
        TypeName::Disk => disks::check(object, path, report),
        TypeName::Partition => disks::check_partition(object, path, report),
        TypeName::Filesystem => disks::check_filesystem(object, spec, path, report),
        TypeName::Raid => disks::check_raid(object, spec, path, report),
        TypeName::Luks => disks::check_luks(object, spec, path, report),
        TypeName::ClevisCustom => disks::check_clevis_custom(object, path, report),
        TypeName::Tang => disks::check_tang(object, path, report),
        TypeName::Systemd => systemd::check(object, path, report),
        TypeName::Unit => systemd::check_unit(object, path, report),
        TypeName::Dropin => systemd::check_dropin(object, path, report),
        TypeName::Ignition
        | TypeName::User
        | TypeName::Group
        | TypeName::Tree
        | TypeName::Clevis
        | TypeName::BootDevice
        | TypeName::Mirror
        | TypeName::GrubUser
        | TypeName::Plain => {}
    }
}

/// Adds what a verdict says.
fn judge(report: &mut Report, path: Path, verdict: Verdict) {
    if let Err(message) = verdict {
        report.error(path, message);
    }
}
