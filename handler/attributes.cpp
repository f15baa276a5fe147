// SPDX-License-Identifier: Apache-2.0
#include "handler/attributes.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <string>

#include "handler/lun_name.h"

namespace ballast::handler {

Attributes::Attributes(abi::tcmu_device* dev) : folder_{open_in_configfs(dev, "attrib")} {}

std::optional<int> Attributes::read(const char* name) const {
  const UniqueFd file{::openat(folder_.get(), name, O_RDONLY | O_CLOEXEC)};
  char text[32];
  const ssize_t length = file ? ::read(file.get(), text, sizeof text) : -1;
  int value = 0;
  if (length <= 0 || std::from_chars(text, text + length, value).ec != std::errc{}) {
    return std::nullopt;
  }
  return value;
}

bool Attributes::write(const char* name, int value) const {
  const UniqueFd file{::openat(folder_.get(), name, O_WRONLY | O_CLOEXEC)};
  const std::string text = std::to_string(value);
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace ballast::handler
