// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/exporter/http_server.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <utility>

namespace ballast::exporter {
namespace {

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

int on_message(const mg_connection*, const char* message) {
  fmt::print(stderr, "ballast-exporter: {}\n", message);
  return 1;
}

}  // namespace

HttpServer::HttpServer(Address address, Handler handler)
    : wanted_{std::move(address)}, handler_{std::move(handler)} {}

HttpServer::~HttpServer() {
  if (context_ != nullptr) {
    mg_stop(context_);
  }
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const Address& address, Handler handler) {
  std::unique_ptr<HttpServer> server{new HttpServer{address, std::move(handler)}};
  const std::string ports = address.text();
  const std::string threads = fmt::format("{}", server_threads);
  const std::string limit = fmt::format("{}", client_limit.count());
  std::array options{"listening_ports",
                     ports.c_str(),
                     "num_threads",
                     threads.c_str(),
                     "request_timeout_ms",
                     limit.c_str(),
                     "enable_keep_alive",
                     "no",
                     static_cast<const char*>(nullptr)};
  mg_callbacks callbacks{};
  callbacks.begin_request = on_request;
  callbacks.log_message = on_message;
  // Its other members changed from civetweb 1.15 to 1.16.
  mg_error_data error{};
  std::array<char, 256> text{};
  error.text = text.data();
  error.text_buffer_size = text.size();
  mg_init_data init{&callbacks, server.get(), options.data()};
  server->context_ = mg_start2(&init, &error);
  if (server->context_ == nullptr) {
    return Error{EADDRNOTAVAIL,
                 fmt::format("nobody can listen on {}: {}: see whether another process does (ss "
                             "-ltnp), whether this machine has the address, and whether a port "
                             "below 1024 needs root",
                             ports, text.data())};
  }
  return server;
}

Address HttpServer::address() const {
  mg_server_port port{};
  Address address = wanted_;
  if (mg_get_server_ports(context_, 1, &port) == 1) {
    address.port = static_cast<std::uint16_t>(port.port);
  }
  return address;
}

Answer HttpServer::answer(const mg_request_info& request) const noexcept {
  const std::string_view method = request.request_method;
  try {
    if (method != "GET" && method != "HEAD") {
      return {.status = 405, .body = "only GET and HEAD are answered\n"};
    }
    return handler_(request.local_uri == nullptr ? "" : request.local_uri);
  } catch (const std::exception&) {
    return {.status = 500, .body = {}};  // out of memory
  }
}

// Nothing is loaded from anywhere, and nothing runs in the browser.
constexpr const char* security =
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n";

int HttpServer::on_request(mg_connection* connection) noexcept {
  const mg_request_info& request = *mg_get_request_info(connection);
  const Answer answer = static_cast<HttpServer*>(request.user_data)->answer(request);
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n"
            "Cache-Control: no-store\r\n%s%s\r\n",
            answer.status, reason(answer.status), answer.type, answer.body.size(), security,
            answer.status == 405 ? "Allow: GET, HEAD\r\n" : "");
  if (std::string_view{request.request_method} != "HEAD") {
    mg_write(connection, answer.body.data(), answer.body.size());
  }
  return answer.status;
}

}  // namespace ballast::exporter
