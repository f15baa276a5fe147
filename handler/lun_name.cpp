// SPDX-License-Identifier: Apache-2.0
#include "handler/lun_name.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace ballast::handler {

namespace {

// The content of /sys/class/uio/<uio>/name; empty if it cannot be read.
std::string uio_device_name(const std::string& uio) {
  const std::string path = "/sys/class/uio/" + uio + "/name";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return {};
  }
  char text[512];
  const ssize_t length = ::read(fd, text, sizeof text);
  ::close(fd);
  return length > 0 ? std::string(text, static_cast<std::size_t>(length)) : std::string{};
}

}  // namespace

Backstore backstore_of(std::string_view text) {
  constexpr std::string_view prefix = "tcm-user/";
  if (!text.starts_with(prefix)) {
    return {};
  }
  text.remove_prefix(prefix.size());
  const std::size_t after_hba = text.find('/');
  if (after_hba == std::string_view::npos) {
    return {};
  }
  const std::string_view hba = text.substr(0, after_hba);
  text.remove_prefix(after_hba + 1);
  const std::size_t after_name = text.find('/');
  return after_name == std::string_view::npos ? Backstore{}
                                              : Backstore{hba, text.substr(0, after_name)};
}

std::string lun_name(abi::tcmu_device* dev) {
  const std::string uio = abi::tcmu_dev_get_uio_name(dev);
  const std::string text = uio_device_name(uio);
  const std::string_view name = backstore_of(text).name;
  return name.empty() ? uio : std::string{name};
}

UniqueFd open_in_configfs(abi::tcmu_device* dev, const char* folder) {
  const std::string text = uio_device_name(abi::tcmu_dev_get_uio_name(dev));
  const Backstore backstore = backstore_of(text);
  if (backstore.name.empty()) {
    return {};
  }
  const std::string path = fmt::format("/sys/kernel/config/target/core/user_{}/{}/{}",
                                       backstore.hba, backstore.name, folder);
  return UniqueFd{::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
}

}  // namespace ballast::handler
