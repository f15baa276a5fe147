// SPDX-License-Identifier: Apache-2.0
#include "handler/notices.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "handler/lun_name.h"

namespace ballast::handler {

bool ask_for_notices(abi::tcmu_device* dev) {
  const std::string folder = configfs_folder(dev);
  if (folder.empty()) {
    return false;
  }
  const int fd = ::open((folder + "/attrib/tmr_notification").c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  const bool written = ::write(fd, "1", 1) == 1;
  ::close(fd);
  return written;
}

}  // namespace ballast::handler
