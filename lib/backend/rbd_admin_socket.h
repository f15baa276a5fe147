// SPDX-License-Identifier: Apache-2.0
// RbdAdminSocket: the place for the admin socket of one connection to Ceph, on which librados
// answers questions about itself (ceph(1), --admin-daemon).
//
// Whoever may connect to such a socket may change librados' settings. So the sockets are in a
// folder of their own that only this user may enter. Their names begin with the number of the
// process, so that a later daemon can remove what a killed one has left there.
//
// All calls block for as long as /run does, a file system in memory. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/base/units.h"

namespace ballast::backend {

class RbdAdminSocket {
 public:
  static constexpr const char* usual_folder = "/run/ballast";

  // Chooses a path in `folder` that no other connection has. The folder is made if it is missing;
  // sockets of processes that have ended are removed. If the folder cannot be made safe, or the
  // path would be too long for a socket, path() is empty, and the connection gets no socket.
  explicit RbdAdminSocket(const std::string& folder = usual_folder);
  // Removes the socket, if librados has not done so.
  ~RbdAdminSocket();
  RbdAdminSocket(const RbdAdminSocket&) = delete;
  RbdAdminSocket& operator=(const RbdAdminSocket&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Sends `command` (JSON) to the socket at `path` and returns the answer, JSON as well. Returns an
// empty string if the whole answer is not there within `patience`, or is longer than `most` bytes.
std::string ask_admin_socket(const std::string& path, std::string_view command,
                             Nanoseconds patience, std::size_t most);

}  // namespace ballast::backend
