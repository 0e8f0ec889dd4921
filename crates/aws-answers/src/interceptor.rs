//! An interceptor that lets only AWS's answers through.

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::FinalizerInterceptorContextMut},
        orchestrator::{HttpResponse, Metadata, OrchestratorError},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

/// Gives every answer that is not AWS's the form of a response error, whatever the SDK took it for. The SDK tries such a call again, as
/// its retry settings say, as it does after a broken connection.
///
/// For services of the protocols EC2 query, JSON and REST JSON, which answer as a whole.
///
/// An answer is AWS's where
/// - it names its request: in the header `x-amzn-RequestId`, which AWS's services send with successes and errors ("Common response
///   headers"; EFS user guide, examples of each action), or in EC2's form, an element of the document (EC2 API reference, "Query
///   requests": "the response structure includes a request ID"), and
/// - it is whole: an XML document ends with its root element, and only status 204 is without a body. The SDK's XML decoder takes the end
///   of the text for the end of a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnlyAws;

impl Intercept for OnlyAws {
    fn name(&self) -> &'static str {
        "OnlyAws"
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _runtime_components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Without a response, or without its whole body, there is an error already.
        let Some(response) = context.response() else { return Ok(()) };
        let Some(body) = response.body().bytes() else { return Ok(()) };
        if is_of_aws(response, body) {
            // What AWS's support asks for first.
            let call = cfg.load::<Metadata>();
            let (service, name) = call.map_or(("AWS", "a call"), |call| (call.service(), call.name()));
            let id = request_id(response, body).unwrap_or_default();
            tracing::debug!("{service} {name}: HTTP status {}, request {id}", response.status().as_u16());
            return Ok(());
        }
        if let Some(outcome) = context.output_or_error_mut() {
            *outcome = Err(OrchestratorError::response("the answer is not AWS's".into()));
        }
        Ok(())
    }
}

fn is_of_aws(response: &HttpResponse, body: &[u8]) -> bool {
    if body.is_empty() && response.status().as_u16() == 204 {
        return names_request(response);
    }
    let text = body.trim_ascii();
    match text.first() {
        None => false,
        Some(b'<') => is_whole_xml(text) && (names_request(response) || has_request_element(text)),
        Some(_) => names_request(response),
    }
}

const HEADERS: [&str; 2] = ["x-amzn-requestid", "x-amz-request-id"];

/// EC2 writes `requestId` in successes and `RequestID` in errors.
const ELEMENT: &[u8] = b"<requestid>";

fn names_request(response: &HttpResponse) -> bool {
    HEADERS.into_iter().any(|name| response.headers().contains_key(name))
}

fn has_request_element(text: &[u8]) -> bool {
    request_element(text).is_some()
}

/// Where the id begins.
fn request_element(text: &[u8]) -> Option<usize> {
    text.windows(ELEMENT.len()).position(|part| part.eq_ignore_ascii_case(ELEMENT)).map(|at| at + ELEMENT.len())
}

/// The id by which AWS knows the request.
fn request_id(response: &HttpResponse, body: &[u8]) -> Option<String> {
    if let Some(id) = HEADERS.into_iter().find_map(|name| response.headers().get(name)) {
        return Some(id.to_owned());
    }
    let id = &body[request_element(body)?..];
    let end = id.iter().position(|byte| *byte == b'<')?;
    Some(String::from_utf8_lossy(&id[..end]).into_owned())
}

fn is_whole_xml(text: &[u8]) -> bool {
    let starts = text.windows(2).position(|part| part[0] == b'<' && part[1].is_ascii_alphabetic());
    let Some(start) = starts else { return false };
    let after = &text[start + 1..];
    let name = after.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/')).next().unwrap_or_default();
    let end = [b"</", name, b">"].concat();
    text.ends_with(&end)
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> bool {
        let status = aws_smithy_runtime_api::http::StatusCode::try_from(status).expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        is_of_aws(&response, body.as_bytes())
    }

    #[test]
    fn a_request_has_an_id_to_ask_support_about() {
        let id = |headers: &[(&'static str, &'static str)], body: &'static str| {
            let mut response = HttpResponse::new(200_u16.try_into().expect("a status"), SdkBody::from(body));
            for (name, value) in headers {
                response.headers_mut().insert(*name, *value);
            }
            request_id(&response, body.as_bytes())
        };
        assert_eq!(id(&[("x-amzn-RequestId", "7560489e")], "{}").as_deref(), Some("7560489e"));
        assert_eq!(id(&[], "<A><requestId>59dbff89</requestId></A>").as_deref(), Some("59dbff89"));
        assert_eq!(
            id(&[], "<Response><Errors/><RequestID>ea966190</RequestID></Response>").as_deref(),
            Some("ea966190")
        );
        assert_eq!((id(&[], "{}"), id(&[], "<requestId>")), (None, None));
    }

    #[test]
    fn an_answer_of_aws_names_its_request_and_is_whole() {
        let named = [("x-amzn-RequestId", "7560489e-8bc7-4a56-a09a-757ce6f4832a")];
        let ec2 = "<?xml version=\"1.0\"?>\n<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
                   <requestId>1</requestId><reservationSet/></DescribeInstancesResponse>\n";
        let error =
            "<Response><Errors><Error><Code>InternalError</Code></Error></Errors><RequestID>1</RequestID></Response>";
        assert!(response(200, &[], ec2));
        assert!(response(503, &[], error));
        assert!(response(200, &named, "{\"MountTargets\": []}"));
        assert!(response(400, &named, "{\"__type\": \"ThrottlingException\"}"));
        assert!(response(204, &named, ""));

        let cut = "<DescribeInstancesResponse><requestId>1</requestId><reservationSet>";
        let foreign = [
            response(200, &[], "<html><body>Log in</body></html>"),
            response(200, &named, cut),
            response(200, &[], "<DescribeInstancesResponse></DescribeInstancesResponse>"),
            response(200, &named, ""),
            response(204, &[], ""),
            response(200, &[], "{}"),
            // A proxy's error in JSON has a code as well.
            response(
                403,
                &[("content-type", "application/json")],
                "{\"code\": \"blocked\", \"message\": \"by policy\"}",
            ),
            response(200, &named, "<"),
            response(200, &named, "   "),
        ];
        assert_eq!(foreign, [false; 9]);
    }
}
