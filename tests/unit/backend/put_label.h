// SPDX-License-Identifier: Apache-2.0
// Writes the label of a file or device that no LUN has open.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "lib/backend/file_label.h"
#include "lib/base/unique_fd.h"

namespace ballast::test {

inline bool put_label(const std::string& path, Bytes lun, const backend::Label& label) {
  const UniqueFd fd{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
  struct stat status {};
  return fd.get() >= 0 && ::fstat(fd.get(), &status) == 0 &&
         backend::write_label({.fd = fd.get(),
                               .block_device = S_ISBLK(status.st_mode),
                               .path = path,
                               .lun = {.now = lun}},
                              label)
             .ok();
}

}  // namespace ballast::test
