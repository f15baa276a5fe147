// SPDX-License-Identifier: Apache-2.0
#include "handler/attributes.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <string>

#include "handler/lun_name.h"

namespace ballast::handler {

Attributes::Attributes(abi::tcmu_device* dev) {
  const std::string folder = configfs_folder(dev);
  if (!folder.empty()) {
    folder_ = ::open((folder + "/attrib").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
}

Attributes::~Attributes() {
  if (folder_ >= 0) {
    ::close(folder_);
  }
}

std::optional<int> Attributes::read(const char* name) const {
  const int fd = folder_ < 0 ? -1 : ::openat(folder_, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return std::nullopt;
  }
  char text[32];
  const ssize_t length = ::read(fd, text, sizeof text);
  ::close(fd);
  int value = 0;
  if (length <= 0 || std::from_chars(text, text + length, value).ec != std::errc{}) {
    return std::nullopt;
  }
  return value;
}

bool Attributes::write(const char* name, int value) const {
  const int fd = folder_ < 0 ? -1 : ::openat(folder_, name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  const std::string text = std::to_string(value);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

}  // namespace ballast::handler
