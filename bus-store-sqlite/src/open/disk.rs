//! On what kind of disk a file is.

use std::fs;
use std::path::{Path, PathBuf};

use bus_store::{StoreError, StoreErrorKind};

/// File systems of other machines: a write-ahead log needs memory shared by all who use the file.
const NETWORK_FILE_SYSTEMS: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb",
    "smb2",
    "smb3",
    "smbfs",
    "ncpfs",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ocfs2",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.davfs2",
];

/// File systems that may be of another machine.
const DOUBTFUL_FILE_SYSTEMS: &[&str] = &["9p", "virtiofs", "fuse.vmhgfs-fuse", "vboxsf", "drvfs"];

/// Refuses a file that is not on a disk of this machine.
pub(crate) fn check(path: &Path) -> Result<(), StoreError> {
    // Only Linux tells it this way; elsewhere the manual has to do.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    file_system_of(path, &mounts).map_or(Ok(()), |file_system| check_file_system(path, &file_system))
}

fn check_file_system(path: &Path, file_system: &str) -> Result<(), StoreError> {
    if NETWORK_FILE_SYSTEMS.contains(&file_system) {
        return Err(StoreError::new(
            StoreErrorKind::Unsupported,
            "open",
            format!(
                "`{}` is on a network file system ({file_system}), where SQLite's log is not safe: choose a local disk",
                path.display()
            ),
        ));
    }
    if DOUBTFUL_FILE_SYSTEMS.contains(&file_system) {
        tracing::warn!(
            path = %path.display(),
            file_system,
            "the store may be on another machine's disk; open it from one machine only"
        );
    }
    Ok(())
}

/// The type of the file system that a full path is on, by the text of `/proc/self/mountinfo`.
fn file_system_of(path: &Path, mounts: &str) -> Option<String> {
    let mut found: Option<(usize, &str)> = None;
    for mount in mounts.lines() {
        // 36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/root rw
        let Some((front, back)) = mount.split_once(" - ") else {
            continue;
        };
        let (Some(point), Some(kind)) = (front.split(' ').nth(4), back.split(' ').next()) else {
            continue;
        };
        let point = PathBuf::from(unescape(point));
        let depth = point.components().count();
        // Of two mounts at one place, the later one covers the earlier.
        if path.starts_with(&point) && found.is_none_or(|(deepest, _)| depth >= deepest) {
            found = Some((depth, kind));
        }
    }
    found.map(|(_, kind)| kind.to_owned())
}

/// Spaces, tabs, line ends and backslashes stand in a mount's name as `\040` and so on.
fn unescape(name: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(name.to_owned(), |name, (escaped, plain)| name.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /mnt/team\\040share rw shared:1 - nfs4 server:/export rw
31 22 0:26 / /mnt/team\\040share/local rw - xfs /dev/vdb rw
32 22 0:27 / /mnt rw - tmpfs tmpfs rw
33 22 0:28 / /host rw - 9p host rw
34 22 0:29 / /data rw - ext4 /dev/vdc rw
35 22 0:30 / /data rw - cifs //server/data rw";

    #[test]
    fn the_deepest_and_latest_mount_says_what_a_path_is_on() {
        let cases = [
            ("/var/lib/bus.db", "ext4"),
            ("/mnt/bus.db", "tmpfs"),
            ("/mnt/team share/bus.db", "nfs4"),
            ("/mnt/team share/local/bus.db", "xfs"),
            ("/mnt/team sharepoint/bus.db", "tmpfs"),
            ("/data/bus.db", "cifs"),
            ("/host/bus.db", "9p"),
        ];
        for (path, expected) in cases {
            assert_eq!(file_system_of(Path::new(path), MOUNTS).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_network_file_system_is_refused() {
        let file = Path::new("/data/bus.db");
        for network in ["nfs4", "cifs", "smb3", "fuse.sshfs"] {
            let error = check_file_system(file, network).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unsupported);
            assert!(error.to_string().contains("`/data/bus.db`"), "{error}");
            assert!(error.to_string().contains("choose a local disk"), "{error}");
        }
        for local in ["ext4", "xfs", "tmpfs", "overlay", "9p"] {
            assert!(check_file_system(file, local).is_ok(), "{local}");
        }
    }
}
