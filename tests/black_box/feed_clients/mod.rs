//! The repository door with the real clients and the tools of the field (`repos.md`): apt, dnf, createrepo_c, aptly,
//! reprepro, debmirror, gpgv; every package is built by dpkg-deb or rpmbuild.

mod apt;
mod bundles;
mod dnf;
mod golden;
mod mirrors;
mod on_demand;
mod upstreams;
mod yard;
