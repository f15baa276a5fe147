// SPDX-License-Identifier: Apache-2.0
// A file system of the test's own, mounted in a private mount name space. ok() is false if the
// machine does not allow that.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <string>

#include "tests/unit/backend/lab.h"

namespace ballast::test {

class SmallMount {
 public:
  // `type` tmpfs or ramfs; `options` as mount(8): "size=1m".
  SmallMount(const char* type, const char* options) {
    static const bool own_name_space =
        ::unshare(CLONE_NEWNS) == 0 &&
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    mounted_ = own_name_space && ::mount("none", folder_.path().c_str(), type, 0, options) == 0;
  }
  ~SmallMount() {
    if (mounted_) {
      ::umount2(folder_.path().c_str(), MNT_DETACH);
    }
  }
  SmallMount(const SmallMount&) = delete;
  SmallMount& operator=(const SmallMount&) = delete;

  bool ok() const { return mounted_; }
  bool make_read_only() {
    return ::mount("none", folder_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }
  const std::string& path() const { return folder_.path(); }
  std::string file(const char* name) const { return folder_.file(name); }

 private:
  Folder folder_;
  bool mounted_ = false;
};

}  // namespace ballast::test
