// SPDX-License-Identifier: Apache-2.0
#include "handler/lun_name.h"

#include <fcntl.h>
#include <unistd.h>

namespace ballast::handler {

std::string_view backstore_name(std::string_view text) {
  constexpr std::string_view prefix = "tcm-user/";
  if (!text.starts_with(prefix)) {
    return {};
  }
  const std::size_t hba = text.find('/', prefix.size());
  if (hba == std::string_view::npos) {
    return {};
  }
  const std::size_t begin = hba + 1;
  const std::size_t end = text.find('/', begin);
  return end == std::string_view::npos ? std::string_view{} : text.substr(begin, end - begin);
}

std::string lun_name(abi::tcmu_device* dev) {
  const std::string uio = abi::tcmu_dev_get_uio_name(dev);
  const std::string path = "/sys/class/uio/" + uio + "/name";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return uio;
  }
  char text[512];
  const ssize_t length = ::read(fd, text, sizeof text);
  ::close(fd);
  const std::string_view name =
      length > 0 ? backstore_name({text, static_cast<std::size_t>(length)}) : std::string_view{};
  return name.empty() ? uio : std::string{name};
}

}  // namespace ballast::handler
