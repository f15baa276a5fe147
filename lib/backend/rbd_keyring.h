// SPDX-License-Identifier: Apache-2.0
// What is wrong with the keyrings of a user of Ceph. librados says no more than an errno for it.
#pragma once

#include <string>
#include <string_view>

namespace ballast::backend {

// `paths`: where librados looks, as its setting `keyring` has it: separated by commas, blanks or
// semicolons; the first file that exists counts. Returns a sentence without its end that names the
// file, as "the keyring /etc/ceph/x cannot be read: Permission denied: let root read it"; empty if
// the file has a key of client.<id>. Reads files, so it may hang with their file system.
std::string keyring_trouble(std::string_view paths, std::string_view id);

}  // namespace ballast::backend
