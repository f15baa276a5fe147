// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/factory.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "lib/backend/checked.h"
#include "lib/backend/fault.h"
#include "lib/backend/file.h"
#include "lib/backend/memory.h"
#include "lib/backend/null.h"

namespace ballast::backend {
namespace {

std::unique_ptr<Backend> wrap(std::unique_ptr<Backend> inner, const config::LunConfig& config) {
  if (!config.fault_control.empty()) {
    inner = make_fault(make_checked(std::move(inner)), config.fault_control);
  }
  return make_checked(std::move(inner));
}

}  // namespace

Result<config::LunConfig> check(std::string_view config_string) {
  Result<config::LunConfig> config = config::parse(config_string);
  if (config) {
    if (const Result<void> environment = check_environment(config.value()); !environment) {
      return environment.error();
    }
  }
  return config;
}

Result<void> check_environment(const config::LunConfig& config, const Expected& expected) {
  if (!config.fault_control.empty()) {
    if (const Result<void> control = check_fault_control(config.fault_control); !control) {
      return control;
    }
  }
  return config.scheme == config::Scheme::file ? check_file(config, expected) : Result<void>{};
}

Result<void> check_numbers(Bytes size, Bytes logical_block) {
  const std::uint64_t block = logical_block.value();
  if (block < 512 || block > 4096 || (block & (block - 1)) != 0) {
    return Error{EINVAL, fmt::format("the LUN's block size of {} is none we know: create the "
                                     "backstore with hw_block_size 512, 1024, 2048 or 4096",
                                     block)};
  }
  if (size == Bytes{} || size.value() % block != 0) {
    return Error{EINVAL, fmt::format("the LUN's size of {} bytes is not a multiple of its block "
                                     "size of {}: create the backstore with one that is",
                                     size.value(), block)};
  }
  return {};
}

Result<std::unique_ptr<Backend>> open(const config::LunConfig& config, const OpenContext& context) {
  if (const Result<void> numbers = check_numbers(context.size, context.logical_block); !numbers) {
    return numbers.error();
  }
  switch (config.scheme) {
    case config::Scheme::memory:
      return wrap(make_memory(context.executor, context.size, context.logical_block), config);
    case config::Scheme::null:
      return wrap(make_null(context.executor, context.size, context.logical_block), config);
    case config::Scheme::file:
      break;
  }
  Result<OpenFile> file = open_file(config, context.size, context.logical_block);
  if (!file) {
    return file.error();
  }
  return assemble(config, std::move(file).value(), context);
}

std::unique_ptr<Backend> assemble(const config::LunConfig& config, OpenFile file,
                                  const OpenContext& context) {
  return wrap(make_file(std::move(file), config.path, context), config);
}

}  // namespace ballast::backend
