// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_metadata.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string_view>

namespace ballast::backend {
namespace {

void put_text(std::string& to, std::string_view text) {
  const auto length = static_cast<std::uint32_t>(text.size());
  for (unsigned shift = 0; shift < 32; shift += 8) {
    to += static_cast<char>(length >> shift & 0xff);
  }
  to += text;
}

int on_header(RbdConnection& connection, const char* method, const std::string& arguments) {
  const RbdLibrary& library = connection.library();
  std::array<char, 256> id{};
  const int got = library.rbd_get_id(connection.image(), id.data(), id.size());
  if (got < 0) {
    return got;
  }
  const std::string header = fmt::format("rbd_header.{}", id.data());
  std::array<char, 16> nothing;
  return library.rados_exec(connection.pool(), header.c_str(), "rbd", method, arguments.data(),
                            arguments.size(), nothing.data(), nothing.size());
}

}  // namespace

Result<std::optional<std::string>> get_metadata(RbdConnection& connection, const char* key,
                                                std::size_t longest) {
  std::string value(longest + 1, '\0');
  std::size_t length = value.size();
  const int got =
      connection.library().rbd_metadata_get(connection.image(), key, value.data(), &length);
  if (got == -ENOENT) {
    return std::optional<std::string>{};
  }
  if (got < 0) {
    return Error{-got, ""};
  }
  return std::optional<std::string>{value.c_str()};
}

int set_metadata(RbdConnection& connection, const char* key, const std::string& value) {
  std::string pairs{"\1\0\0\0", 4};  // a map with one entry
  put_text(pairs, key);
  put_text(pairs, value);
  return on_header(connection, "metadata_set", pairs);
}

int remove_metadata(RbdConnection& connection, const char* key) {
  std::string arguments;
  put_text(arguments, key);
  return on_header(connection, "metadata_remove", arguments);
}

}  // namespace ballast::backend
